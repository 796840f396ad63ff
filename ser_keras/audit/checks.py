"""The checks of the audit: speakers, sentences and recordings that training and test share."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from ser_keras.audit.classes import untrained_classes
from ser_keras.audit.duplicates import duplicate_groups, without_shape
from ser_keras.audit.findings import Finding, few
from ser_keras.audit.lookalikes import audit_names
from ser_keras.protocols import PARTS, Fold, Protocol

# Copies of up to this share of the tested utterances are a flaw of the corpus that a split over
# shared speakers cannot avoid (RAVDESS has one); more are a doubled corpus.
TOLERATED_COPIES = 0.01


def audit_rows(protocol: Protocol, rows: Sequence[Any]) -> list[Finding]:
    """Returns the findings of `audit_audio` and `audit_protocol`, searching copies only once.

    Args:
        protocol: the folds.
        rows: as for `audit_protocol`.
    """
    groups = duplicate_groups(rows)
    return [*audit_audio(rows, groups), *audit_protocol(protocol, rows, groups)]


def audit_audio(
    rows: Sequence[Any], groups: Sequence[tuple[str, ...]] | None = None
) -> list[Finding]:
    """Returns a warning for each recording that occurs more than once.

    What recordings of noise or room tone have in common is no sign of a copy; it is only mentioned
    that their copies cannot be found unless they are exact.

    Args:
        rows: objects with `key`, `audio_sha256` and `fingerprint`.
        groups: their `duplicate_groups`, where these are known.
    """
    groups = duplicate_groups(rows) if groups is None else groups
    hash_of = {row.key: row.audio_sha256 for row in rows}
    copies = [
        Finding(
            "duplicates",
            "warn",
            f"{_equality(group, hash_of)} recording under {len(group)} names: {few(group)}. "
            "Remove all but one.",
            group,
        )
        for group in groups
    ]
    return [*copies, *_shapeless(rows)]


def audit_labels(protocol: Protocol, rows: Sequence[Any]) -> list[Finding]:
    """Returns names that look alike, and classes that a fold tests or validates but never trains.

    Args:
        protocol: the folds.
        rows: objects with `key`, `label` and `speaker`; of the folds' utterances at least.
    """
    used = {key for fold in protocol.folds for part in PARTS for key in getattr(fold, part)}
    row_of = {row.key: row for row in rows if row.key in used}
    return [
        *audit_names(list(row_of.values()), protocol.class_set.class_of),
        *untrained_classes(protocol, row_of),
    ]


def audit_protocol(
    protocol: Protocol, rows: Sequence[Any], groups: Sequence[tuple[str, ...]] | None = None
) -> list[Finding]:
    """Returns what the parts of a protocol's folds share, and whether its name promises otherwise.

    Speakers are compared by the rows, whatever the protocol states. Two utterances also count as
    copies if both are near one that no fold uses.

    Args:
        protocol: the folds.
        rows: objects with `key`, `label`, `speaker`, `sentence`, `audio_sha256` and `fingerprint`.
        groups: the `duplicate_groups` of the rows, where these are known.
    """
    row_of = {row.key: row for row in rows}
    used = {key for fold in protocol.folds for part in PARTS for key in getattr(fold, part)}
    missing = tuple(sorted(used - set(row_of)))
    if missing:
        return [
            Finding(
                "coverage",
                "fail",
                f"{len(missing)} utterances of {protocol.name} are not in the data: "
                f"{few(missing)}. Build the protocol from this data again.",
                missing,
            )
        ]
    return [
        *_promise(protocol),
        *_speakers(protocol, row_of),
        *audit_labels(protocol, [row_of[key] for key in sorted(used)]),
        *_sentences(protocol, row_of),
        *_duplicates(protocol, duplicate_groups(rows) if groups is None else groups, used),
        *_coverage(protocol, row_of),
    ]


def _promise(protocol: Protocol) -> Iterator[Finding]:
    if protocol.shares_speakers and not _says_dependent(protocol):
        yield Finding(
            "promise",
            "fail",
            f"{protocol.name} shares speakers, but its name does not say speaker-dependent.",
        )


def _speakers(protocol: Protocol, row_of: Mapping[str, Any]) -> Iterator[Finding]:
    shared = {
        row_of[key].speaker
        for fold in protocol.folds
        for key in _keys_in_several_parts(fold, {key: row_of[key].speaker for key in _keys(fold)})
    }
    if shared and _says_dependent(protocol):
        yield Finding(
            "speakers",
            "warn",
            f"SPEAKERS ARE SHARED between training and test, as the name says: {len(shared)} "
            f"({few(sorted(shared))}). The score says nothing about new speakers.",
        )
    elif shared:
        yield Finding(
            "speakers",
            "fail",
            f"{len(shared)} speakers are in more than one part of a fold: {few(sorted(shared))}. "
            "Build the protocol from this data again.",
        )


def _sentences(protocol: Protocol, row_of: Mapping[str, Any]) -> Iterator[Finding]:
    shared: set[str] = set()
    for fold in protocol.folds:
        known = {row_of[key].sentence for key in (*fold.train, *fold.valid)} - {""}
        shared |= known & {row_of[key].sentence for key in fold.test}
    if not shared:
        return
    promised = "sentence" in protocol.name.split("-")
    severity = "fail" if promised else "warn" if _says_dependent(protocol) else "info"
    broken = f", though {protocol.name} promises new sentences" if promised else ""
    yield Finding(
        "sentences",
        severity,
        f"{len(shared)} sentences are in both training and test{broken}: "
        f"{few(sorted(shared))}. The score says nothing about new texts.",
    )


def _duplicates(
    protocol: Protocol, groups: Iterable[tuple[str, ...]], used: Collection[str]
) -> Iterator[Finding]:
    used_groups = (tuple(key for key in group if key in used) for group in groups)
    group_of = {key: group for group in used_groups if len(group) > 1 for key in group}
    across: set[str] = set()
    copied = 0
    for fold in protocol.folds:
        repeated = _keys_in_several_parts(
            fold, {key: group_of[key] for key in _keys(fold) if key in group_of}
        )
        copied += len(repeated.intersection(fold.test))
        across |= repeated
    inside = tuple(sorted(set(group_of) - across))
    if inside:
        yield Finding(
            "duplicates",
            "warn",
            f"{len(inside)} utterances are copies of others, always in the same part: "
            f"{few(inside)}. They count more than once.",
            inside,
        )
    if not across:
        return
    tested = sum(len(fold.test) for fold in protocol.folds)
    tolerated = _says_dependent(protocol) and copied <= TOLERATED_COPIES * tested
    keys = tuple(sorted(across))
    yield Finding(
        "duplicates",
        "warn" if tolerated else "fail",
        f"{len(keys)} utterances are copies of one in another part of a fold; {copied} of {tested} "
        f"tests are of a recording met before: {few(keys)}. Remove the copies.",
        keys,
    )


def _shapeless(rows: Sequence[Any]) -> Iterator[Finding]:
    keys = tuple(sorted(row.key for row in without_shape(rows)))
    if len(keys) > 1:
        yield Finding(
            "duplicates",
            "info",
            f"{len(keys)} recordings sound the same from beginning to end, such as noise or room "
            f"tone: {few(keys)}. Only exact copies of them would be noticed.",
            keys,
        )


def _coverage(protocol: Protocol, row_of: Mapping[str, Any]) -> Iterator[Finding]:
    tested = [key for fold in protocol.folds for key in fold.test]
    untested = tuple(sorted(set(row_of) - set(tested)))
    if untested:
        yield Finding(
            "coverage",
            "info",
            f"{protocol.name} tests {len(set(tested))} of {len(row_of)} utterances of the data.",
            untested,
        )
    if len(set(tested)) < len(tested):
        often = tuple(sorted(key for key, count in Counter(tested).items() if count > 1))
        yield Finding(
            "coverage",
            "warn",
            f"{len(often)} utterances are tested in more than one fold: {few(often)}. Pooled "
            "scores count them more than once.",
            often,
        )


def _keys_in_several_parts(fold: Fold, value_of: Mapping[str, Any]) -> set[str]:
    """Returns the keys whose value also occurs in another part of the fold."""
    values = [{value_of[k] for k in getattr(fold, part) if k in value_of} for part in PARTS]
    twice = {value for first, second in combinations(values, 2) for value in first & second}
    return {key for key, value in value_of.items() if value in twice}


def _keys(fold: Fold) -> tuple[str, ...]:
    return fold.train + fold.valid + fold.test


def _says_dependent(protocol: Protocol) -> bool:
    return "speaker-dependent" in protocol.name


def _equality(group: Iterable[str], hash_of: Mapping[str, str]) -> str:
    return "the same" if len({hash_of[key] for key in group}) == 1 else "nearly the same"
