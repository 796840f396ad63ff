"""The features that the members of an ensemble were trained on, found again by their hashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.training.further_speech import FurtherSpeech


@dataclass(frozen=True)
class GivenSpeech:
    """The feature sets and the further sets that the members were trained on.

    Args:
        feature_sets: one for each kind of features, of the same utterances.
        unlabelled_sets: all those that any member was trained on.
        joint_sets: the same.
    """

    feature_sets: Sequence[FeatureSet]
    unlabelled_sets: Sequence[FeatureSet] = ()
    joint_sets: Sequence[FeatureSet] = ()
    _speech: dict[Any, FurtherSpeech] = field(default_factory=dict, repr=False)

    def of(self, run: Path, record: Mapping[str, Any]) -> FurtherSpeech:
        """Returns the features of a member's fold, with its further sets.

        Args:
            run: folder of the member, for the error.
            record: the fold's `fold.json`.

        Raises:
            ConfigError: they are not among those that were given.
        """
        where = f"{run}, fold {record['fold']}"
        identity = record.get("identity", {}).get("feature set", "")
        sentence = f"{where}: was trained on features {record['config']['spec']!r}"
        features = _given(self.feature_sets, identity, sentence, "--features")
        unlabelled, joint = (
            tuple(
                _given(
                    sets,
                    facts["fingerprint"],
                    f"{where}: was also trained on the {kind} set {facts['dataset']}",
                    f"--{kind}",
                )
                for facts in record.get(f"{kind}_sets", ())
            )
            for kind, sets in (("unlabelled", self.unlabelled_sets), ("joint", self.joint_sets))
        )
        # Comparing the recordings of all sets takes seconds.
        key = (identity, *(tuple(map(_fingerprint, sets)) for sets in (unlabelled, joint)))
        if key not in self._speech:
            self._speech[key] = FurtherSpeech(features, unlabelled, joint)
        return self._speech[key]


def _given(sets: Sequence[FeatureSet], fingerprint: str, sentence: str, option: str) -> FeatureSet:
    for given in sets:
        if _fingerprint(given) == fingerprint:
            return given
    known = ", ".join(f"{given.schema.spec_name} ({_fingerprint(given)[:12]})" for given in sets)
    raise ConfigError(
        f"{sentence} ({fingerprint[:12] or 'hash not noted'}), found {known or 'none'} in "
        f"{option}. Give {option} once for each set that a member was trained on."
    )


def _fingerprint(feature_set: FeatureSet) -> str:
    fingerprint: str = feature_set.manifest["fingerprint"]
    return fingerprint
