"""From a feature set on disk to batches: parse, select, augment, bucket by length, pad and mask.

Every epoch is a pure function of (seed, epoch): a run that was killed and resumed sees exactly the
batches that it would have seen.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from ser_keras.config import AugmentConfig
from ser_keras.data.augment import Augment, distort, mix_pairs, spec_augment
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.data.schema import parse_example
from ser_keras.data.segments import WHOLE, Segments
from ser_keras.errors import SchemaError
from ser_keras.features.specs import spec_from_dict

# Batches sorted by length together; 16 of 16 utterances of 3 s and 200 bins are 60 MB.
POOL_BATCHES = 16
UNLABELLED = -1
ELSEWHERE = -2

Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class Part:
    """The utterances of one part of a fold, with their classes.

    Args:
        feature_set: where the features lie.
        class_of: mapping of utterance key to class index, `UNLABELLED` where there is none. Only
            these utterances are read.
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


def mixed_seed(*parts: int | str) -> int:
    """Returns a 31-bit seed from any parts, the same on every machine.

    Example:
        >>> mixed_seed(0, "epoch", 3) == mixed_seed(0, "epoch", 3) != mixed_seed(0, "epoch", 4)
        True
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF


@dataclass(frozen=True)
class TrainingBatches:
    """Makes the batches of each epoch of one training part.

    Args:
        part: the training utterances.
        num_classes: int. Width of the one-hot targets.
        batch_size: int. Utterances (or segments) per batch.
        bucket_frames: int. Batches are padded to a multiple of it where `fixed_shapes`.
        class_weights: (num_classes,). Weight of an utterance of each class.
        augment: what is done to the utterances.
        mean, deviation: (bins,). Statistics of the training part.
        seed: int. Seed of order and augmentation.
        segments: how utterances are cut.
        fixed_shapes: bool. For backends that compile once per shape.
        steps: int. Batches per epoch; the part is passed through as often as that takes. 0 is one
            pass.
    """

    part: Part
    num_classes: int
    batch_size: int
    bucket_frames: int
    class_weights: np.ndarray
    augment: AugmentConfig
    mean: np.ndarray
    deviation: np.ndarray
    seed: int
    segments: Segments = WHOLE
    fixed_shapes: bool = False
    steps: int = 0

    @property
    def one_pass(self) -> int:
        """Number of batches of one pass through the part."""
        examples = sum(self.segments.count(row.frames) for row in self.part.rows)
        return -(-examples // self.batch_size)

    def epoch(self, number: int) -> tf.data.Dataset:
        """Returns the batches (inputs, one-hot targets, weights) of epoch `number`.

        Targets of a class below 0, which is that of an unlabelled utterance, are all zeros.
        """
        passes = -(-self.steps // self.one_pass) if self.steps else 1
        batches = self._pass(number * passes)
        for more in range(1, passes):
            batches = batches.concatenate(self._pass(number * passes + more))
        if self.steps:
            batches = batches.take(self.steps)
        return batches.prefetch(2).with_options(_without_autotune())

    def _pass(self, number: int) -> tf.data.Dataset:
        seed = mixed_seed(self.seed, "epoch", number)
        utterances = self.segments.cut(self.part.utterances).shuffle(
            min(self.one_pass * self.batch_size, 8192), seed=seed, reshuffle_each_iteration=False
        )
        utterances = self._augmented(utterances, seed)
        batches = _similar_lengths(utterances, self.batch_size).shuffle(
            POOL_BATCHES, seed=seed, reshuffle_each_iteration=False
        )
        weights = tf.constant(self.class_weights, tf.float32)
        multiple = self.bucket_frames if self.fixed_shapes else 1

        def finish(example: dict[str, tf.Tensor]) -> Batch:
            classes = example["class"]
            return (
                _inputs(example, multiple),
                tf.one_hot(classes, self.num_classes),
                tf.where(classes < 0, 1.0, tf.gather(weights, tf.maximum(classes, 0))),
            )

        batches = batches.map(finish, num_parallel_calls=2, deterministic=True)
        if self.augment.mixup:
            batches = tf.data.Dataset.zip((batches, self._shares(seed))).map(
                lambda batch, share: mix_pairs(batch[0], batch[1], batch[2], share)
            )
        return batches

    def _augmented(self, utterances: tf.data.Dataset, seed: int) -> tf.data.Dataset:
        settings = self.augment
        spec = spec_from_dict(self.part.feature_set.schema.spec)
        change: Augment = distort(settings, self.deviation, spec)

        def distorted(index: tf.Tensor, example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            stateless = tf.stack([tf.constant(seed, tf.int64), index])
            return example | {"features": change(example["features"], stateless)}

        utterances = utterances.enumerate().map(distorted, num_parallel_calls=2, deterministic=True)
        if settings.freq_masks or settings.time_masks:
            mask = spec_augment(settings, self.mean)

            def masked(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
                # tensorflow-io takes no seed; this one is of this function's graph alone. Seeding
                # globally instead would throw away the compiled training step, 2 s an epoch.
                tf.compat.v1.set_random_seed(seed)
                return example | {"features": mask(example["features"])}

            # One by one, or the draws would depend on which thread comes first.
            utterances = utterances.map(masked)
        return utterances

    def _shares(self, seed: int) -> tf.data.Dataset:
        rng = np.random.default_rng(seed)
        alpha = self.augment.mixup
        shares = rng.beta(alpha, alpha, size=self.one_pass + POOL_BATCHES).astype(np.float32)
        return tf.data.Dataset.from_tensor_slices(shares)


@dataclass(frozen=True)
class JointBatches:
    """Batches whose utterances come from several streams, each drawn from at every step.

    Args:
        streams: the labelled one first; all of the same number of batches.
    """

    streams: tuple[TrainingBatches, ...]

    def epoch(self, number: int) -> tf.data.Dataset:
        """Returns the joint batches of epoch `number`, utterances in the order of the streams."""
        first, *others = (stream.epoch(number) for stream in self.streams)
        for other in others:
            first = tf.data.Dataset.zip((first, other)).map(_joined)
        return first.with_options(_without_autotune())


def _joined(one: Batch, other: Batch) -> Batch:
    frames = tf.maximum(tf.shape(one[0]["mask"])[1], tf.shape(other[0]["mask"])[1])

    def padded(values: tf.Tensor) -> tf.Tensor:
        more = [[0, 0], [0, frames - tf.shape(values)[1]]] + [[0, 0]] * (len(values.shape) - 2)
        return tf.pad(values, more)

    inputs = {
        name: tf.concat([padded(one[0][name]), padded(other[0][name])], axis=0)
        for name in ("features", "mask")
    }
    return inputs, tf.concat([one[1], other[1]], 0), tf.concat([one[2], other[2]], 0)


def evaluation_batches(
    part: Part,
    batch_size: int,
    bucket_frames: int,
    fixed_shapes: bool = False,
    segments: Segments = WHOLE,
) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor], np.ndarray]]:
    """Yields (keys, inputs, classes) of every utterance (or segment) of `part`, unaugmented."""
    multiple = bucket_frames if fixed_shapes else 1
    batches = _similar_lengths(segments.cut(part.utterances), batch_size)
    for example in batches.with_options(_without_autotune()):
        keys = np.array([key.decode() for key in example["key"].numpy()])
        yield keys, _inputs(example, multiple), example["class"].numpy()


def _without_autotune() -> tf.data.Options:
    """Returns options without tf.data's autotuner.

    Its thread sleeps 10 ms, 20 ms, 40 ms, ... and TensorFlow 2.16 waits for it when an iterator
    goes: an epoch of 6 s took until 10.23 s = 10 + 20 + ... + 5120 ms were over. All parallelism
    is stated here anyway.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def _inputs(example: dict[str, tf.Tensor], multiple: int) -> dict[str, tf.Tensor]:
    """Returns features and mask, padded to a multiple of so many frames."""
    features = example["features"]
    more = -tf.shape(features)[1] % multiple
    features = tf.pad(features, [[0, 0], [0, more], [0, 0]])
    mask = tf.sequence_mask(example["length"], tf.shape(features)[1])
    return {"features": features, "mask": mask}


def _similar_lengths(utterances: tf.data.Dataset, size: int) -> tf.data.Dataset:
    """Returns padded batches of similar lengths: pools of utterances, sorted by length and cut.

    Buckets of fixed boundaries would leave a small batch of odd lengths each, all at the end of an
    epoch, and batch normalisation would end on the statistics of those.
    """

    def cut(pool: dict[str, tf.Tensor]) -> tf.data.Dataset:
        order = tf.argsort(pool["length"], stable=True)

        def batch(first: tf.Tensor) -> dict[str, tf.Tensor]:
            chosen = order[first : first + size]
            rows = {name: tf.gather(values, chosen) for name, values in pool.items()}
            return rows | {"features": rows["features"][:, : tf.reduce_max(rows["length"])]}

        starts = tf.range(0, tf.shape(order)[0], size)
        return tf.data.Dataset.from_tensor_slices(starts).map(batch)

    with_length = utterances.map(
        lambda example: example | {"length": tf.shape(example["features"])[0]}
    )
    return with_length.padded_batch(size * POOL_BATCHES).flat_map(cut)
