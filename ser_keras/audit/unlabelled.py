"""Finds the unlabelled utterances of other feature sets that a fold must not train on.

Speech of a test speaker teaches a model that speaker's voice, with a label or without one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ser_keras.audit.duplicates import duplicate_groups
from ser_keras.audit.findings import Finding
from ser_keras.audit.lookalikes import plain_name

# Why an utterance is not trained on. Where several are true, the first one is given.
REASONS = ("name", "speaker", "recording")


@dataclass(frozen=True)
class Overlap:
    """What labelled rows share with the rows of other feature sets.

    Args:
        rows: of the labelled feature set, with `key`, `speaker`, `corpus`, `audio_sha256` and
            `fingerprint`.
        others: the rows of each other set.
    """

    rows: Sequence[Any]
    others: Sequence[Sequence[Any]]

    def withheld(self, number: int, keys: Collection[str]) -> dict[str, str]:
        """Returns the utterances of a set that reveal some of the labelled ones, with reasons.

        Corpus and speaker identify a person: speaker 03 of one corpus is not that of another, two
        sets of one corpus have the same people, and so have two tables of a user's own, where Anna
        is anna. A recording
        is identified by its sound alone, whatever its name and place, and its speaker in another
        set is the same person, whatever their name there.

        Args:
            number: int. Which of the other sets.
            keys: of labelled utterances that must not be trained on.

        Returns:
            mapping of key to one of `REASONS`, in key order.
        """
        held = [row for row in self.rows if row.key in keys]
        names = {row.key for row in held}
        people = {_person(row) for row in held}
        groups = {self._group_of[0, row.key] for row in held if (0, row.key) in self._group_of}
        copies = {
            (index, row.key): _person(row)
            for index, rows in enumerate(self.others)
            for row in rows
            if self._group_of.get((index + 1, row.key)) in groups
        }
        namesakes = set(copies.values())
        reasons = {}
        for row in self.others[number]:
            person = _person(row)
            if row.key in names:
                reasons[row.key] = "name"
            elif (number, row.key) in copies and person not in people:
                reasons[row.key] = "recording"
            elif person in people or person in namesakes:
                reasons[row.key] = "speaker"
        return dict(sorted(reasons.items()))

    @cached_property
    def _group_of(self) -> dict[tuple[int, str], int]:
        """Numbers the groups of equal recordings, by (number of the set, key); 0 is labelled."""
        set_and_key_of: dict[str, tuple[int, str]] = {}
        rows = []
        for number, set_rows in enumerate([self.rows, *self.others]):
            for row in set_rows:
                # Sets may have keys in common.
                name = f"{number}:{row.key}"
                set_and_key_of[name] = (number, row.key)
                rows.append(replace(row, key=name))
        groups = duplicate_groups(rows)
        return {set_and_key_of[name]: index for index, group in enumerate(groups) for name in group}


def _person(row: Any) -> tuple[str, str]:
    return row.corpus, plain_name(row.speaker)


def audit_unlabelled(
    fold: str, dataset: str, dropped: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Returns a finding on what a fold left out of an unlabelled set; none if it took everything.

    Args:
        fold: name of the fold.
        dataset: name of the unlabelled set.
        dropped: keys by reason, see `REASONS`.
    """
    keys = tuple(sorted(key for dropped_keys in dropped.values() for key in dropped_keys))
    if not keys:
        return []
    counts = [f"{len(dropped[reason])} by {reason}" for reason in REASONS if dropped.get(reason)]
    return [
        Finding(
            "unlabelled",
            "info",
            f"fold {fold} leaves out {len(keys)} utterances of {dataset}, which are in its test "
            f"part or where its epoch is chosen, or are of a speaker who is there: "
            f"{', '.join(counts)}.",
            keys,
        )
    ]
