"""What was known of the test speakers when they were scored: nothing, or recordings of theirs."""

from collections.abc import Collection, Sequence

from ser_keras.audit.findings import Finding

KNOWN = {
    "blind": "nothing was known of a test speaker",
    "adapted": "the unlabelled recordings of a test speaker were known, and no label",
}


def audit_track(
    track: str, tested: Sequence[str], not_adapted: Collection[str], least_s: float
) -> Finding:
    """Returns the track of a result, and how many test speakers had too little speech for it.

    Args:
        track: str. A key of `KNOWN`.
        tested: the test speakers.
        not_adapted: those of them who got the blind answer on the adapted track.
        least_s: float. With less speech than this, in seconds, a speaker is not adapted to.

    Example:
        >>> audit_track("adapted", ["a", "b"], ["b"], 2.0).message
        'track adapted: the unlabelled recordings of a test speaker were known, and no label. 1 of \
2 test speakers had less than 2 s of speech and got the blind answer (b).'
    """
    message = f"track {track}: {KNOWN[track]}."
    if track == "adapted":
        names = f" ({', '.join(sorted(not_adapted))})" * bool(not_adapted)
        message += (
            f" {len(not_adapted)} of {len(tested)} test speakers had less than {least_s:g} s of "
            f"speech and got the blind answer{names}."
        )
    return Finding("track", "info", message)
