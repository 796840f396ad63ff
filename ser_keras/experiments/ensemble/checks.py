"""The audit of an ensemble: each member must have been trained as the folds allow, and on them.

Its folds, its features and its further speech are computed again from the data and compared with
the hashes that its training left. A model that was trained on an utterance that the fold tests has
other hashes, whatever its files say.
"""

from collections.abc import Sequence

import numpy as np

from ser_keras import audit
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, LeakageError
from ser_keras.experiments.ensemble.members import Member
from ser_keras.protocols import PARTS, Fold, Protocol
from ser_keras.training.checkpoint import identity_differences
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.further_speech import FurtherSpeech


def audit_data(protocol: Protocol, feature_sets: Sequence[FeatureSet]) -> list[audit.Finding]:
    """Returns the findings on the folds and recordings, and refuses sets of other utterances.

    Raises:
        ConfigError: an utterance of the folds has another label, speaker or recording in another
            set, or is not there.
        LeakageError: the audit found a leak.
    """
    first, *others = feature_sets
    used = sorted({key for fold in protocol.folds for part in PARTS for key in getattr(fold, part)})
    rows = {row.key: (row.label, row.speaker, row.audio_sha256) for row in first.rows}
    for other in others:
        other_rows = {row.key: (row.label, row.speaker, row.audio_sha256) for row in other.rows}
        different = [key for key in used if rows.get(key) != other_rows.get(key)]
        if different:
            raise ConfigError(
                f"{other.path}: found {len(different)} utterances with another label, speaker or "
                f"recording than in {first.path}, or in one of them alone, such as {different[0]}; "
                "expected other features of the same utterances. Make both from one corpus."
            )
    findings = audit.audit_rows(protocol, first.rows)
    audit.enforce(findings)
    return findings


def audit_member(member: Member, fold: Fold, speech: FurtherSpeech) -> None:
    """Checks what a member's fold was trained on and what it was tested on.

    Args:
        member: the run.
        fold: of the protocol.
        speech: see `GivenSpeech.of`.

    Raises:
        LeakageError: it was trained on other utterances than the fold allows.
        ConfigError: it has scores of other utterances, or other classes of them.
    """
    parts = FoldParts(
        member.config(fold.name),
        speech.feature_set,
        member.protocol.class_set,
        fold,
        speech,
        fold.test,
    )
    record = member.records[fold.name]
    # The recipe's hash changes with new keys; it says nothing of the utterances.
    expected = dict.fromkeys(record.get("identity", {}), "") | parts.identity()
    expected.pop("recipe")
    if differences := identity_differences(record, expected):
        raise LeakageError(
            f"{member.run}, fold {fold.name}: was trained on other utterances than this fold of "
            f"{member.protocol.name} allows ({'; '.join(differences)}), so they may be among those "
            "that it tests. Leave this run out, or train it again."
        )
    tested = {key: parts.class_of[key] for key in sorted(parts.fold.test)}
    for track in member.tracks:
        scores = member.scores(fold.name, track)
        stored = dict(zip(scores.keys.tolist(), scores.classes.tolist(), strict=True))
        if stored != tested:
            wrong = sorted(key for key in {*stored, *tested} if stored.get(key) != tested.get(key))
            raise ConfigError(
                f"{member.run}, fold {fold.name}: found scores that differ from its test part in "
                f"{len(wrong)} utterances or their classes, such as {wrong[0]}. Train it again."
            )


def check_different(members: Sequence[Member], fold: str) -> None:
    """Refuses two members that are the same model.

    Raises:
        ConfigError: they have the same weights.
    """
    owner_of: dict[str, Member] = {}
    for member in members:
        weights = member.records[fold]["weights_sha256"]
        other = owner_of.setdefault(weights, member)
        if other is not member:
            raise ConfigError(
                f"{member.run}, fold {fold}: found the same weights as in {other.run} "
                f"({weights[:12]}), expected each model once. Leave out the copy, or train it with "
                "another --set seed=."
            )


def check_same_tests(members: Sequence[Member], fold: str) -> None:
    """Refuses members that were tested on other utterances of a fold.

    Raises:
        ConfigError: they were.
    """
    first, *others = members
    keys = first.scores(fold, first.track).keys
    for other in others:
        other_keys = other.scores(fold, other.track).keys
        if not np.array_equal(keys, other_keys):
            different = sorted(set(keys.tolist()) ^ set(other_keys.tolist()))
            raise ConfigError(
                f"{other.run}, fold {fold}: found scores of {len(other_keys)} utterances, expected "
                f"the {len(keys)} of {first.run}; {different[0]} is scored by one of them alone. "
                "Members must have the same batch.drop_shorter_s. Leave it out, or train it again."
            )
