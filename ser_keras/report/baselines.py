"""The support vector machines of `ser baseline` that results are compared with.

A result stands beside the machine on the same data, folds and track. Of several it is one on
ComParE's functionals, and of the two kernels the one with the better UA in the inner folds, which
hold training speakers only. Scores on test speakers choose nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.metrics.seeds import BySpeaker
from ser_keras.report.percent import percent, points_with_interval

REFERENCE_FEATURES = "compare"
# Nothing is known of a test speaker, or the speaker's own recordings normalise the features. A
# result of an earlier version names no track and is blind.
TRACKS = ("blind", "adapted")


def track_of(result: Mapping[str, Any]) -> str:
    """Returns `blind` or `adapted`: whether recordings of a test speaker normalise the speaker's.

    Example:
        >>> track_of({}), track_of({"track": "adapted"})
        ('blind', 'adapted')
    """
    track: str = result.get("track", TRACKS[0])
    return track


def inner_ua(baseline: Mapping[str, Any]) -> float:
    """Returns the UA of a baseline in the inner folds, with the best C, mean over folds."""
    score: float = baseline["choice"]["inner_ua"][baseline["kernel"]]
    return score


def baseline_of(
    baselines: Iterable[Mapping[str, Any]], result: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Returns the baseline of a result, None where there is none on all of the result's folds.

    Args:
        baselines: results of `ser baseline`.
        result: a cross-validation, or one of the baselines.
    """
    key = (result["dataset"], result["protocol"]["sha256"], track_of(result))
    folds = _folds_of(result)
    candidates = [
        row
        for row in baselines
        if key == (row["dataset"], row["protocol"]["sha256"], row["track"])
        and folds <= _folds_of(row)
    ]
    if not candidates:
        return None
    return max(
        sorted(candidates, key=lambda row: (row["features"]["spec_name"], row["kernel"])),
        key=lambda row: (row["features"]["spec_name"] == REFERENCE_FEATURES, inner_ua(row)),
    )


def baseline_facts(
    baselines: Iterable[Mapping[str, Any]], *results: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Returns the baseline of a result on exactly the folds of the result, None without one.

    Args:
        baselines: results of `ser baseline`.
        *results: cross-validations of one recipe on the same folds, each with another seed.

    Returns:
        "features", "kernel" and "track" of the baseline, its "ua" with "ua_interval" on the
        result's folds, and "difference": by how much the result's UA, mean over seeds, is higher
        with the ends of the 95 % interval, all scored on the same resampled speakers; None where a
        result did not record its speakers, or has not scored the same utterances.
    """
    result = results[0]
    baseline = baseline_of(baselines, result)
    if baseline is None:
        return None
    names = _folds_of(result)
    by_speaker = _summed(fold["by_speaker"] for fold in baseline["folds"] if fold["fold"] in names)
    counts = np.sum(list(by_speaker.values()), axis=0)
    true, predicted, speakers = predictions(by_speaker)
    return {
        "features": baseline["features"]["spec_name"],
        **{key: baseline[key] for key in ("kernel", "track")},
        "ua": metrics.unweighted_accuracy_of(counts),
        "ua_interval": list(metrics.speaker_interval(true, predicted, speakers, len(counts))),
        "speakers": len(by_speaker),
        "difference": paired_difference([r.get("by_speaker", {}) for r in results], by_speaker),
    }


def _folds_of(result: Mapping[str, Any]) -> set[str]:
    return {fold["fold"] for fold in result["folds"]}


def _summed(folds: Iterable[BySpeaker]) -> BySpeaker:
    """Returns the confusions of each speaker over folds."""
    total: dict[str, np.ndarray] = {}
    for fold in folds:
        for speaker, counts in fold.items():
            total[speaker] = total.get(speaker, 0) + np.asarray(counts)
    return {speaker: counts.tolist() for speaker, counts in total.items()}


def paired_difference(seeds: Sequence[BySpeaker], other: BySpeaker) -> list[float] | None:
    """Returns how much higher the mean UA is than another, and the interval over speakers.

    Args:
        seeds: confusions of one model, of each of its seeds.
        other: of the other, on the same utterances.

    Returns:
        Difference, low and high, see `metrics.difference_over_seeds`. None where the utterances
        differ.

    Example:
        >>> paired_difference([{"a": [[2, 0], [1, 1]]}], {"a": [[1, 1], [2, 0]]})[0]
        0.5
    """
    if not other or not all(metrics.same_utterances(seed, other) for seed in seeds):
        return None
    return list(metrics.difference_over_seeds(seeds, [other]))


def predictions(by_speaker: BySpeaker) -> tuple[list[int], list[int], list[str]]:
    """Returns true class, predicted class and speaker of all utterances, by speaker and class.

    Example:
        >>> predictions({"a": [[1, 1], [0, 1]]})
        ([0, 0, 1], [0, 1, 1], ['a', 'a', 'a'])
    """
    cells = [
        (true, predicted, speaker, count)
        for speaker, counts in sorted(by_speaker.items())
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
    ]
    return (
        [true for true, _, _, count in cells for _ in range(count)],
        [predicted for _, predicted, _, count in cells for _ in range(count)],
        [speaker for _, _, speaker, count in cells for _ in range(count)],
    )


def difference_in_words(facts: Mapping[str, Any] | None) -> str:
    """Returns the difference to the baseline in points, with its interval in brackets.

    Args:
        facts: see `baseline_facts`.

    Example:
        >>> difference_in_words({"difference": [0.05, -0.01, 0.11], "speakers": 9})
        '+5.0 (-1.0 – +11.0)'
    """
    if facts is None:
        return ""
    if facts["difference"] is None:
        return percent(None)
    return points_with_interval(facts["difference"], facts["speakers"])
