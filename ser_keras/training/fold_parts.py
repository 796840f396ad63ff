"""The utterances of a fold by their use: trained on with or without label, validated, tested."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import FoldPart
from ser_keras.data.seeds import mixed_seed
from ser_keras.data.union_classes import UnionClasses
from ser_keras.labels import ClassSet
from ser_keras.protocols import Fold
from ser_keras.training.fold_batches import hide_labels, without_short
from ser_keras.training.further_speech import (
    FurtherSpeech,
    check_joint,
    check_takes_unlabelled,
    trained_on_sha256,
)


class FoldParts:
    """The utterances of a fold as one configuration uses them.

    No training utterance is in the test part, in `withheld` or in a validation part that chooses
    the epoch, or a copy of one that is. No unlabelled speech is of their speakers.

    Args:
        config: the run.
        feature_set: the features.
        class_set: the classes and their order.
        fold: the keys of the three parts.
        further: the further sets; none where it is None.
        withheld: keys of further utterances, of which the further sets must hold no copy and no
            speaker: the outer fold's test part, where this fold chooses between recipes.

    Raises:
        ConfigError: speech without labels, and a model that learns from labels alone.
        LeakageError: nothing is left of a further set.
    """

    def __init__(
        self,
        config: TrainConfig,
        feature_set: FeatureSet,
        class_set: ClassSet,
        fold: Fold,
        further: FurtherSpeech | None = None,
        withheld: Sequence[str] = (),
    ):
        further = further or FurtherSpeech(feature_set)
        check_takes_unlabelled(config, further.sets)
        check_joint(config, further.joint)
        self.config, self.feature_set, self.class_set = config, feature_set, class_set
        self.seed = mixed_seed(config.seed, fold.name)
        least_s = config.batch.drop_shorter_s
        self.fold, self.dropped = without_short(fold, feature_set, least_s)
        fixed_epochs = config.select == "last"
        self.validation_keys = () if fixed_epochs else self.fold.valid
        # The whole parts: a speaker is withheld even if all recordings are too short to be tested.
        withheld = (*withheld, *fold.test, *(() if fixed_epochs else fold.valid))
        parts = further.parts(fold.name, withheld, least_s)
        self.unlabelled = parts[: len(further.sets)]
        self.joint = parts[len(further.sets) :]
        joint_labels = {row.label for other in further.joint for row in other.rows}
        self.union = UnionClasses.of(class_set, joint_labels)
        labels = {row.key: row.label for row in feature_set.rows}
        self.class_of = {
            key: class_set.index(labels[key])
            for part in (self.fold.train, self.fold.valid, self.fold.test)
            for key in part
            if key in labels
        }
        self.own_keys = self.fold.train + self.fold.valid if fixed_epochs else self.fold.train
        # A key without features is reported with its name when the part is made.
        labelled = [key for key in self.own_keys if key in self.class_of]
        fraction = config.unlabelled.label_fraction
        self.hidden = hide_labels(labelled, self.class_of, fraction, self.seed)

    @property
    def train_keys(self) -> tuple[str, ...]:
        """Keys that weights, statistics and class weights are fitted on, labelled or not."""
        used = self.config.unlabelled.use
        return tuple(key for key in self.own_keys if used or key not in self.hidden)

    def part(self, keys: Sequence[str]) -> FoldPart:
        """Returns the part of the feature set with these utterances."""
        classes = {key: self.class_of.get(key, -1) for key in keys}
        return FoldPart(self.feature_set, classes, self.config.batch.cache_gb)

    def unlabelled_parts(self) -> list[FoldPart]:
        """Returns the training utterances of each unlabelled set, for reading."""
        return [part.part(self.config.batch.cache_gb) for part in self.unlabelled]

    def joint_parts(self) -> list[tuple[FoldPart, np.ndarray]]:
        """Returns the training utterances of each joint set, and which classes its corpus has."""
        return [
            (
                part.labelled_part(self.union, self.config.batch.cache_gb),
                self.union.of_corpus({row.label for row in part.feature_set.rows}),
            )
            for part in self.joint
        ]

    def audit_record(self) -> dict[str, Any]:
        """Returns the facts that `ser_keras.audit.audit_training` checks."""
        return {
            "normaliser_fitted_on": self.train_keys,
            "epoch_chosen_by": "validation" if self.config.select == "validation" else "fixed",
            "train": self.train_keys,
            "valid": self.validation_keys,
            "test": self.fold.test,
        }

    def sizes(self) -> dict[str, int]:
        """Returns numbers of utterances, for the record.

        "train": the fold's own, labelled or not; "labelled": those of them with their labels;
        "unlabelled": the rest of them, and those of the unlabelled sets; "joint": those of the
        joint sets; "valid": those that choose the epoch, with their labels; "test"; "dropped": too
        short; "dropped_unlabelled": those of the unlabelled sets that the audit withholds, see
        `FoldParts`.
        """
        hidden = sum(key in self.hidden for key in self.train_keys)
        return {
            "train": len(self.train_keys),
            "labelled": len(self.train_keys) - hidden,
            "unlabelled": hidden + sum(len(part.keys) for part in self.unlabelled),
            "joint": sum(len(part.keys) for part in self.joint),
            "valid": len(self.validation_keys),
            "test": len(self.fold.test),
            "dropped": self.dropped + sum(part.short for part in self.unlabelled),
            "dropped_unlabelled": sum(
                len(keys) for part in self.unlabelled for keys in part.dropped.values()
            ),
        }

    def identity(self) -> dict[str, str]:
        """Returns hashes of all that decides what is trained; only equal trainings have equal ones.

        A finished fold or a checkpoint is taken over only if it has the same.
        """
        return {
            "recipe": self.config.sha256,
            "fold": hashlib.sha256(repr(self.fold).encode()).hexdigest(),
            "feature set": self.feature_set.manifest["fingerprint"],
            "unlabelled speech": trained_on_sha256(self.unlabelled),
            **({"joint speech": trained_on_sha256(self.joint)} if self.joint else {}),
        }
