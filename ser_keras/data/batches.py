"""From the utterances of a part to batches: augment, bucket by length, pad and mask.

Every epoch is a pure function of (seed, epoch): a run that was killed and resumed gets exactly the
batches that it would have had.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ser_keras.config import AugmentConfig
from ser_keras.data.augment import Augment, distort, mix_pairs, spec_augment
from ser_keras.data.part import FoldPart
from ser_keras.data.seeds import mixed_seed
from ser_keras.data.segments import WHOLE, Segments
from ser_keras.features.specs import spec_from_dict

# Batches sorted by length together; 16 of 16 utterances of 3 s and 200 bins are 60 MB.
POOL_BATCHES = 16

Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class TrainingBatches:
    """Makes the batches of each epoch of one training part.

    Args:
        part: the training utterances.
        num_classes: int. Width of the one-hot targets.
        batch_size: int. Utterances (or segments) per batch.
        bucket_frames: int. Batches are padded to a multiple of it where `fixed_shapes`.
        class_weights: (num_classes,). Weight of an utterance of each class.
        augment: augmentation of the utterances.
        mean, deviation: (bins,). Statistics of the training part.
        seed: int. Seed of order and augmentation.
        segments: how utterances are cut.
        fixed_shapes: bool. For backends that compile once per shape.
        steps: int. Batches per epoch, from as many passes through the part as that takes; 0 for one
            pass.
    """

    part: FoldPart
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

        The targets of an unlabelled utterance, whose class is below 0, are all zeros.
        """
        passes = -(-self.steps // self.one_pass) if self.steps else 1
        batches = self._pass(number * passes)
        for index in range(1, passes):
            batches = batches.concatenate(self._pass(number * passes + index))
        if self.steps:
            batches = batches.take(self.steps)
        return batches.prefetch(2).with_options(without_autotune())

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
                padded_inputs(example, multiple),
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
        joint, *remaining = (stream.epoch(number) for stream in self.streams)
        for batches in remaining:
            joint = tf.data.Dataset.zip((joint, batches)).map(joined)
        return joint.with_options(without_autotune())


def joined(first: Batch, second: Batch) -> Batch:
    """Returns one batch of two, padded to the longer."""
    frames = tf.maximum(tf.shape(first[0]["mask"])[1], tf.shape(second[0]["mask"])[1])

    def padded(name: str, values: tf.Tensor) -> tf.Tensor:
        if name not in ("features", "mask"):
            return values
        padding = [[0, 0], [0, frames - tf.shape(values)[1]]] + [[0, 0]] * (len(values.shape) - 2)
        return tf.pad(values, padding)

    inputs = {
        name: tf.concat([padded(name, values), padded(name, second[0][name])], axis=0)
        for name, values in first[0].items()
    }
    targets = tf.concat([first[1], second[1]], axis=0)
    weights = tf.concat([first[2], second[2]], axis=0)
    return inputs, targets, weights


def evaluation_batches(
    part: FoldPart,
    batch_size: int,
    bucket_frames: int,
    fixed_shapes: bool = False,
    segments: Segments = WHOLE,
) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor], np.ndarray]]:
    """Yields (keys, inputs, classes) of every utterance (or segment) of `part`, unaugmented."""
    multiple = bucket_frames if fixed_shapes else 1
    batches = _similar_lengths(segments.cut(part.utterances), batch_size)
    for example in batches.with_options(without_autotune()):
        keys = np.array([key.decode() for key in example["key"].numpy()])
        yield keys, padded_inputs(example, multiple), example["class"].numpy()


def without_autotune() -> tf.data.Options:
    """Returns options without tf.data's autotuner.

    Its thread sleeps 10 ms, 20 ms, 40 ms, ... and TensorFlow 2.16 waits for it when an iterator is
    deleted: an epoch of 6 s lasted 10.23 s = 10 + 20 + ... + 5120 ms. The parallelism of every step
    is set here anyway.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def padded_inputs(example: dict[str, tf.Tensor], multiple: int) -> dict[str, tf.Tensor]:
    """Returns features and mask, padded to a multiple of `multiple` frames."""
    features = example["features"]
    padding = -tf.shape(features)[1] % multiple
    features = tf.pad(features, [[0, 0], [0, padding], [0, 0]])
    mask = tf.sequence_mask(example["length"], tf.shape(features)[1])
    return {"features": features, "mask": mask}


def _similar_lengths(utterances: tf.data.Dataset, size: int) -> tf.data.Dataset:
    """Returns padded batches of similar lengths: pools of utterances, sorted by length and cut.

    Each bucket of fixed boundaries would leave a small batch of unusual lengths, all of them at the
    end of an epoch, and batch normalisation would end with the statistics of those.
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
