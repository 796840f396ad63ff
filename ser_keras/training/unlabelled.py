"""Speech without labels: which models can learn from it, and what of it a fold may train on."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ser_keras.audit import Overlap
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
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
class UnlabelledPart:
    """The utterances of one unlabelled set that a fold trains on.

    Args:
        feature_set: the unlabelled set.
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
class UnlabelledSpeech:
    """The unlabelled sets beside a labelled one, and what each fold may train on of them.

    The recordings of all sets are compared once, for the first fold.

    Args:
        feature_set: the labelled set.
        sets: the unlabelled ones.

    Raises:
        SchemaError: a set of other features.
    """

    feature_set: FeatureSet
    sets: tuple[FeatureSet, ...] = ()
    _parts: dict[Any, tuple[UnlabelledPart, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for other in self.sets:
            check_same_spec(self.feature_set, other)

    @cached_property
    def _overlap(self) -> Overlap:
        return Overlap(self.feature_set.rows, [other.rows for other in self.sets])

    def parts(
        self, fold: str, withheld: Collection[str], least_s: float = 0.0
    ) -> tuple[UnlabelledPart, ...]:
        """Returns the utterances of each set that a fold trains on.

        Args:
            fold: str. Its name, for the error.
            withheld: keys of labelled utterances; copies of them and speech of their speakers are
                left out.
            least_s: float. Shorter recordings are left out.

        Raises:
            LeakageError: nothing of a set is left.
        """
        selection = frozenset(withheld), least_s
        if selection not in self._parts:
            self._parts[selection] = tuple(
                self._part(number, selection[0], least_s) for number in range(len(self.sets))
            )
        for part in self._parts[selection]:
            if not part.keys:
                counts = [
                    f"{len(keys)} by {reason}" for reason, keys in part.dropped.items() if keys
                ]
                counts += [f"{part.short} shorter than {least_s:g} s"] if part.short else []
                raise LeakageError(
                    f"fold {fold}: found nothing to train on in the unlabelled set "
                    f"{part.feature_set.schema.name}; all {len(part.feature_set.rows)} utterances "
                    f"are left out ({', '.join(counts)}), expected some that are neither of the "
                    "fold's test part nor of its speakers. Leave out --unlabelled "
                    f"{part.feature_set.path}, or take speech of other people."
                )
        return self._parts[selection]

    def _part(self, number: int, withheld: Collection[str], least_s: float) -> UnlabelledPart:
        reasons = self._overlap.withheld(number, withheld)
        dropped: dict[str, list[str]] = {}
        for key, reason in reasons.items():
            dropped.setdefault(reason, []).append(key)
        allowed = [row for row in self.sets[number].rows if row.key not in reasons]
        keys = tuple(row.key for row in allowed if row.duration_s >= least_s)
        return UnlabelledPart(self.sets[number], keys, dropped, len(allowed) - len(keys))


def trained_on_sha256(parts: Sequence[UnlabelledPart]) -> str:
    """Returns a hash of the unlabelled training utterances, or an empty text without sets."""
    if not parts:
        return ""
    utterances = [(part.feature_set.manifest["fingerprint"], part.keys) for part in parts]
    return hashlib.sha256(repr(utterances).encode()).hexdigest()
