"""Batches for both tracks: blind ones of any utterances, and adapted ones of a few speakers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from ser_keras.adaptation.augment import augment_batch
from ser_keras.adaptation.utterances import SpeakerPart, UtteranceMoments
from ser_keras.config import AdaptationConfig
from ser_keras.data.batches import Batch, TrainingBatches, joined, padded_inputs
from ser_keras.data.seeds import mixed_seed
from ser_keras.features.specs import spec_from_dict
from ser_keras.layers.speaker_normalization import UNKNOWN

# Speakers of different streams of one batch are different people.
SPEAKERS_PER_STREAM = 2**20

Tensor: TypeAlias = tf.Tensor


@dataclass(frozen=True)
class StreamPlan:
    """Which utterances make the batches of an epoch, and whose statistics go with them.

    Args:
        utterances: int32 (steps, size). Numbers of utterances.
        speakers: int32 (steps, size). Numbers of their speakers, -1 in a blind batch.
    """

    utterances: np.ndarray
    speakers: np.ndarray


@dataclass(frozen=True)
class SpeakerBatches:
    """Makes the batches of one stream for a model with `normalizer: speaker`.

    Args:
        stream: the utterances, the size of a batch, weights, augmentation, steps and seed. Epochs
            are those of this class.
        speech: the utterances of its part.
        utterance_moments: their moments.
        adaptation: shares and sizes.
        embedding_dim: int. Size of the embedding, whose statistics are not used in training.
        number: int. Number of the stream.
        possible: bool (num_classes,) or None. The classes that the stream's corpus has; the targets
            of the others are -1. None for all.
        unknown: int. Stands for the speaker in blind batches.
    """

    stream: TrainingBatches
    speech: SpeakerPart
    utterance_moments: UtteranceMoments
    adaptation: AdaptationConfig
    embedding_dim: int
    number: int = 0
    possible: np.ndarray | None = None
    unknown: int = UNKNOWN

    def plan(self, epoch: int, blind: np.ndarray) -> StreamPlan:
        """Returns the utterances of every batch of an epoch.

        Args:
            epoch: int.
            blind: bool (steps,). Which batches are blind.
        """
        size = self.stream.batch_size
        rng = np.random.default_rng(mixed_seed(self.stream.seed, "epoch", epoch))
        order = _endless_order(rng, len(self.speech.keys), len(blind) * size)
        utterances = order.reshape(len(blind), size)
        speakers = np.full_like(utterances, -1)
        groups = list(self.speech.by_speaker().values())
        if len(groups) > 1:
            shares = np.array([len(group) for group in groups]) / len(self.speech.keys)
            for step in np.flatnonzero(~blind):
                utterances[step], speakers[step] = self._adapted_rows(rng, groups, shares)
        return StreamPlan(utterances.astype(np.int32), speakers.astype(np.int32))

    def tables(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Returns the statistics of frames and of functionals of each speaker, zeros last."""
        rng = np.random.default_rng(mixed_seed(self.stream.seed, "enrolment", epoch))
        frames, functionals = [], []
        for group in self.speech.by_speaker().values():
            enrolled = group
            if self.adaptation.random_enrolment:
                enrolled = rng.permutation(group)[: 1 + int(len(group) * rng.random() ** 2)]
            of_frames, of_functionals = self.utterance_moments.statistics(enrolled)
            frames.append(of_frames)
            functionals.append(of_functionals)
        return tuple(
            tf.constant(np.stack([*rows, np.zeros_like(rows[0])]), tf.float32)
            for rows in (frames, functionals)
        )

    @cached_property
    def batch(self) -> Callable[..., Batch]:
        """The function (utterances, speakers, tables, seed) to a batch, a graph traced once."""
        lengths = [len(values) for values in self.speech.features]
        features_of = tf.RaggedTensor.from_row_lengths(
            np.concatenate(self.speech.features), lengths
        )
        stream, schema = self.stream, self.stream.part.feature_set.schema
        spec = spec_from_dict(schema.spec)
        bands = getattr(spec, "num_mels", schema.dim)
        augment = augment_batch(stream.augment, stream.deviation, spec, bands)
        multiple = stream.bucket_frames if stream.fixed_shapes else 1
        class_weights = tf.constant(stream.class_weights, tf.float32)
        classes_of = tf.constant(self.speech.classes)

        @tf.function(reduce_retracing=True)
        def batch(
            utterances: Tensor, speakers: Tensor, tables: tuple[Tensor, Tensor], seed: Tensor
        ) -> Batch:
            features = tf.gather(features_of, utterances)
            frames, length = augment(
                features.to_tensor(), tf.cast(features.row_lengths(), tf.int32), seed
            )
            classes = tf.gather(classes_of, utterances)
            inputs = padded_inputs({"features": frames, "length": length}, multiple)
            inputs |= self._speaker_inputs(utterances, speakers, tables)
            targets = tf.one_hot(classes, stream.num_classes)
            if self.possible is not None:
                targets = tf.where(self.possible, targets, -1.0)
            return (
                inputs,
                targets,
                tf.where(classes < 0, 1.0, tf.gather(class_weights, tf.maximum(classes, 0))),
            )

        return batch

    def _speaker_inputs(
        self, utterances: Tensor, speakers: Tensor, tables: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        rows = tf.where(speakers < 0, tf.shape(tables[0])[0] - 1, speakers)
        unique = tf.where(speakers < 0, self.unknown, speakers + self.number * SPEAKERS_PER_STREAM)
        inputs = {
            "speaker": unique,
            "frame_statistics": tf.gather(tables[0], rows),
            "embedding_statistics": tf.zeros((self.stream.batch_size, 1 + 2 * self.embedding_dim)),
        }
        if self.speech.with_functionals:
            inputs["functionals"] = tf.gather(tf.constant(self.speech.functionals), utterances)
            inputs["functional_statistics"] = tf.gather(tables[1], rows)
        return inputs

    def _adapted_rows(
        self, rng: np.random.Generator, groups: list[np.ndarray], shares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns utterances of a few speakers, equally many of each, and the speakers."""
        size = self.stream.batch_size
        count = min(self.adaptation.speakers, len(groups))
        chosen = rng.choice(len(groups), count, replace=False, p=shares)
        speakers = np.repeat(chosen, -(-size // count))[:size]
        utterances = [
            rng.choice(groups[speaker], number, replace=len(groups[speaker]) < number)
            for speaker, number in zip(*np.unique(speakers, return_counts=True), strict=True)
        ]
        return np.concatenate(utterances), np.sort(speakers)


@dataclass(frozen=True)
class SpeakerStreams:
    """Batches whose utterances come from several streams, each drawn from at every step.

    Args:
        streams: the labelled one first.
        seed: int. Decides which batches are blind.
    """

    streams: Sequence[SpeakerBatches]
    seed: int

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        labelled = self.streams[0].stream
        return labelled.steps or labelled.one_pass

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yields the batches of epoch `number`, utterances in the order of the streams."""
        first, steps = self.streams[0], self.steps
        seed = mixed_seed(self.seed, "track", number)
        draws = np.random.default_rng(seed).random(steps)
        blind = draws < first.adaptation.blind_share
        plans = [stream.plan(number, blind) for stream in self.streams]
        tables = [stream.tables(number) for stream in self.streams]
        for step in range(steps):
            batches = [
                stream.batch(
                    tf.constant(plan.utterances[step]),
                    tf.constant(plan.speakers[step]),
                    table,
                    tf.constant([mixed_seed(stream.stream.seed, "epoch", number), step], tf.int64),
                )
                for stream, plan, table in zip(self.streams, plans, tables, strict=True)
            ]
            batch = batches[0]
            for other in batches[1:]:
                batch = joined(batch, other)
            yield batch


@dataclass(frozen=True)
class JointStreams:
    """Batches of the fold's own set and of joint sets, in a random order.

    Args:
        own: the batches of the fold's own set. All of them are in every epoch.
        joint: the stream of each joint set, drawn from by its number of utterances.
        share: float. Share of the batches that come from joint sets.
        seed: int. Decides the order.
    """

    own: SpeakerStreams
    joint: Sequence[SpeakerBatches]
    share: float
    seed: int

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return joint_steps(self.own.steps, self.share)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yields the batches of epoch `number`."""
        rng = np.random.default_rng(mixed_seed(self.seed, "joint", number))
        sizes = np.array([len(stream.speech.keys) for stream in self.joint])
        further = self.steps - self.own.steps
        drawn = rng.choice(len(self.joint), further, p=sizes / sizes.sum())
        order = rng.permutation([*np.zeros(self.own.steps, int), *(1 + drawn)])
        epochs = [self.own.epoch(number)]
        epochs += [SpeakerStreams([stream], self.seed).epoch(number) for stream in self.joint]
        for source in order:
            yield next(epochs[source])


def joint_steps(own: int, share: float) -> int:
    """Returns the batches of an epoch, of which a share is not the fold's own.

    Example:
        >>> joint_steps(70, 0.3)
        100
    """
    return round(own / (1.0 - share))


def _endless_order(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Returns `length` numbers below `count`, permutation after permutation."""
    passes = -(-length // count)
    return np.concatenate([rng.permutation(count) for _ in range(passes)])[:length]
