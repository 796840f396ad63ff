"""Further sets to train on, without labels or with: for which models, and what a fold uses."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ser_keras.audit import Overlap
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.data.union_classes import UnionClasses
from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.models import model_entry, models_with


def check_takes_unlabelled(config: TrainConfig, sets: Sequence[FeatureSet] = ()) -> None:
    """Refuses unlabelled speech for a model that learns from labels alone.

    Raises:
        ConfigError: `config` hides labels and uses those utterances, or there are unlabelled sets,
            and the model's objective has no class for them.
    """
    if model_entry(config.model.name).takes_unlabelled:
        return
    known = f"expected one with a class for them: {', '.join(models_with('takes_unlabelled'))}"
    if sets:
        raise ConfigError(
            f"unlabelled set {sets[0].schema.name}: model {config.model.name} learns from labels "
            f"alone, {known}. Leave out --unlabelled, or choose a recipe of such a model."
        )
    if config.unlabelled.use and config.unlabelled.label_fraction < 1:
        raise ConfigError(
            f"unlabelled.label_fraction is {config.unlabelled.label_fraction:g} with "
            f"unlabelled.use: model {config.model.name} learns from labels alone, {known}. Pass "
            "--set unlabelled.use=false to leave out the utterances whose labels are hidden."
        )


def check_joint(config: TrainConfig, sets: Sequence[FeatureSet]) -> None:
    """Refuses joint training for a recipe that is not made for it, and such a recipe without sets.

    Raises:
        ConfigError: sets without `adaptation.joint_share`, that share without sets, or a model
            whose objective is another than cross-entropy.
    """
    share = config.adaptation.joint_share if config.normalizer == "speaker" else 0.0
    if sets and not share:
        raise ConfigError(
            f"joint set {sets[0].schema.name}: found a recipe without a share of batches for it "
            f"(normalizer {config.normalizer}, adaptation.joint_share 0), expected normalizer "
            "speaker and a share such as 0.3. Leave out --joint, or pass --set "
            "adaptation.joint_share=0.3."
        )
    if share and not sets:
        raise ConfigError(
            f"config: adaptation.joint_share is {share:g}, and there is no joint set, expected the "
            "features of another corpus. Pass --joint FEATURES, or --set adaptation.joint_share=0."
        )
    if share and model_entry(config.model.name).objective:
        raise ConfigError(
            f"config: adaptation.joint_share is {share:g} with model {config.model.name}, expected "
            "a model that is trained for cross-entropy alone. Pass --set adaptation.joint_share=0."
        )


def check_same_spec(feature_set: FeatureSet, other: FeatureSet) -> None:
    """Raises SchemaError if two sets hold different features, even under the same spec name.

    Options such as `ser features --trim-db` change a spec but not its name.
    """
    expected = {"dim": feature_set.schema.dim, **feature_set.schema.spec}
    spec = {"dim": other.schema.dim, **other.schema.spec}
    differences = [
        f"{key} {spec.get(key)} instead of {expected.get(key)}"
        for key in sorted({*expected, *spec})
        if expected.get(key) != spec.get(key)
    ]
    if differences:
        raise SchemaError(
            f"{other.path}: found features with {', '.join(differences)}, expected those of "
            f"{feature_set.path}. Make both with the same --spec and options of `ser features`."
        )


@dataclass(frozen=True)
class FurtherPart:
    """The utterances of one further set that a fold trains on.

    Args:
        feature_set: the further set.
        keys: tuple of str. The training utterances.
        dropped: mapping of reason to keys: the utterances that the audit withholds.
        short: int. Number of others, shorter than `batch.drop_shorter_s`.
    """

    feature_set: FeatureSet
    keys: tuple[str, ...]
    dropped: dict[str, list[str]]
    short: int

    def part(self, cache_gb: float) -> FoldPart:
        """Returns the training utterances for reading, without classes."""
        return FoldPart(self.feature_set, dict.fromkeys(self.keys, UNLABELLED), cache_gb)

    def labelled_part(self, classes: UnionClasses, cache_gb: float) -> FoldPart:
        """Returns the training utterances for reading, with their classes in a union."""
        label_of = {row.key: row.label for row in self.feature_set.rows}
        class_of = {key: classes.index(label_of[key]) for key in self.keys}
        return FoldPart(self.feature_set, class_of, cache_gb)

    def facts(self) -> dict[str, Any]:
        """Returns the facts for a fold's record, as plain values."""
        return {
            "dataset": self.feature_set.schema.name,
            "corpus": self.feature_set.schema.corpus,
            "fingerprint": self.feature_set.manifest["fingerprint"],
            "trained_on": len(self.keys),
            "short": self.short,
            "dropped": self.dropped,
        }


@dataclass(frozen=True)
class FurtherSpeech:
    """The further sets beside a fold's own, and what each fold may train on of them.

    The recordings of all sets are compared once, for the first fold.

    Args:
        feature_set: the fold's own set.
        sets: those trained on without labels.
        joint: those trained on with their labels, see `UnionClasses`.

    Raises:
        SchemaError: a set of other features.
    """

    feature_set: FeatureSet
    sets: tuple[FeatureSet, ...] = ()
    joint: tuple[FeatureSet, ...] = ()
    _parts: dict[Any, tuple[FurtherPart, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for other in self._all:
            check_same_spec(self.feature_set, other)

    @property
    def _all(self) -> tuple[FeatureSet, ...]:
        return (*self.sets, *self.joint)

    @cached_property
    def _overlap(self) -> Overlap:
        return Overlap(self.feature_set.rows, [other.rows for other in self._all])

    def parts(
        self, fold: str, withheld: Collection[str], least_s: float = 0.0
    ) -> tuple[FurtherPart, ...]:
        """Returns the utterances of each set that a fold trains on: of `sets`, then of `joint`.

        Args:
            fold: str. Its name, for the error.
            withheld: keys of the fold's own utterances; copies of them and speech of their speakers
                are left out.
            least_s: float. Shorter recordings are left out.

        Raises:
            LeakageError: nothing of a set is left.
        """
        selection = frozenset(withheld), least_s
        if selection not in self._parts:
            self._parts[selection] = tuple(
                self._part(number, selection[0], least_s) for number in range(len(self._all))
            )
        for number, part in enumerate(self._parts[selection]):
            if not part.keys:
                kind = "unlabelled" if number < len(self.sets) else "joint"
                counts = [
                    f"{len(keys)} by {reason}" for reason, keys in part.dropped.items() if keys
                ]
                counts += [f"{part.short} shorter than {least_s:g} s"] if part.short else []
                raise LeakageError(
                    f"fold {fold}: found nothing to train on in the {kind} set "
                    f"{part.feature_set.schema.name}; all {len(part.feature_set.rows)} utterances "
                    f"are left out ({', '.join(counts)}), expected some that are neither of the "
                    f"fold's test part nor of its speakers. Leave out --{kind} "
                    f"{part.feature_set.path}, or take speech of other people."
                )
        return self._parts[selection]

    def _part(self, number: int, withheld: Collection[str], least_s: float) -> FurtherPart:
        reasons = self._overlap.withheld(number, withheld)
        dropped: dict[str, list[str]] = {}
        for key, reason in reasons.items():
            dropped.setdefault(reason, []).append(key)
        further_set = self._all[number]
        allowed = [row for row in further_set.rows if row.key not in reasons]
        keys = tuple(row.key for row in allowed if row.duration_s >= least_s)
        return FurtherPart(further_set, keys, dropped, len(allowed) - len(keys))


def trained_on_sha256(parts: Sequence[FurtherPart]) -> str:
    """Returns a hash of the further training utterances, or an empty text without sets."""
    if not parts:
        return ""
    utterances = [(part.feature_set.manifest["fingerprint"], part.keys) for part in parts]
    return hashlib.sha256(repr(utterances).encode()).hexdigest()
