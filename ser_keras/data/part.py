"""The utterances of one part of a fold: training, validation or test."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from ser_keras.data.example_graph import parse_example
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.errors import SchemaError

# Classes of utterances without a label, and of utterances that are not in the part.
UNLABELLED = -1
ELSEWHERE = -2


@dataclass(frozen=True)
class FoldPart:
    """The utterances of one part of a fold, with their classes.

    Args:
        feature_set: the features.
        class_of: mapping of utterance key to class index, `UNLABELLED` for one without a label.
            Only these utterances are read.
        cache_gb: float. Keep the part in memory up to this size.
    """

    feature_set: FeatureSet
    class_of: Mapping[str, int]
    cache_gb: float = 4.0
    _utterances: list[tf.data.Dataset] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        missing = set(self.class_of) - {row.key for row in self.feature_set.rows}
        if missing:
            raise SchemaError(
                f"{self.feature_set.path}: {len(missing)} utterances of the protocol are not in "
                f"the feature set, such as {min(missing)}. Make the protocol from this feature "
                "set, or the features from the whole corpus."
            )

    @property
    def rows(self) -> list[IndexRow]:
        """Index rows of the part, in key order."""
        return [row for row in self.feature_set.rows if row.key in self.class_of]

    @property
    def utterances(self) -> tf.data.Dataset:
        """Dataset of {key, features (frames, bins), class}, always in the same order."""
        if not self._utterances:
            self._utterances.append(self._read())
        return self._utterances[0]

    def _read(self) -> tf.data.Dataset:
        keys, classes = list(self.class_of), list(self.class_of.values())
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys, tf.string), tf.constant(classes, tf.int64)
            ),
            default_value=ELSEWHERE,
        )

        def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
            example = parse_example(serialized)
            return {
                "key": example["key"],
                "features": example["features"],
                "class": table.lookup(example["key"]),
            }

        shards = sorted({row.shard for row in self.rows})
        paths = [str(self.feature_set.path / shard) for shard in shards]
        utterances = (
            tf.data.TFRecordDataset(paths)
            .map(parse, num_parallel_calls=2, deterministic=True)
            .filter(lambda example: example["class"] > ELSEWHERE)
        )
        size_gb = sum(row.frames for row in self.rows) * self.feature_set.schema.dim * 4 / 1e9
        return utterances.cache() if size_gb <= self.cache_gb else utterances

    def frames(self) -> Iterator[np.ndarray]:
        """Yields the features of each utterance, (frames, bins), for statistics."""
        for example in self.utterances.as_numpy_iterator():
            yield example["features"]
