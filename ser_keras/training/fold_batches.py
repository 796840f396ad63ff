"""Selects the training utterances of a fold, hides labels, and makes the batches."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np

from ser_keras.adaptation.batches import (
    JointStreams,
    SpeakerBatches,
    SpeakerStreams,
    joint_steps,
)
from ser_keras.adaptation.speakers import takes_speakers, utterance_moments
from ser_keras.adaptation.utterances import SpeakerPart
from ser_keras.config import BatchConfig, TrainConfig
from ser_keras.data.batches import JointBatches, TrainingBatches
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.data.seeds import mixed_seed
from ser_keras.data.segments import Segments
from ser_keras.features.statistics import FeatureStatistics
from ser_keras.layers.speaker_normalization import UNKNOWN_ELSEWHERE
from ser_keras.protocols import Fold


def without_short(fold: Fold, feature_set: FeatureSet, least_s: float) -> tuple[Fold, int]:
    """Returns the fold without recordings shorter than `least_s`, and how many those were."""
    short = {row.key for row in feature_set.rows if row.duration_s < least_s}

    def long_enough(keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(key for key in keys if key not in short)

    remaining = replace(
        fold,
        train=long_enough(fold.train),
        valid=long_enough(fold.valid),
        test=long_enough(fold.test),
    )
    dropped = sum(key in short for part in (fold.train, fold.valid, fold.test) for key in part)
    return remaining, dropped


def hide_labels(
    keys: Iterable[str], class_of: Mapping[str, int], fraction: float, seed: int
) -> frozenset[str]:
    """Returns randomly drawn utterances whose labels are hidden: the same share of each class.

    Args:
        keys: training utterances.
        class_of: their classes.
        fraction: float. Share that keeps its labels; at least one utterance of each class does.
        seed: int.

    Example:
        >>> sorted(hide_labels(["a", "b", "c"], {"a": 0, "b": 0, "c": 1}, 0.5, seed=0))
        ['a']
    """
    rng = np.random.default_rng(mixed_seed(seed, "labels"))
    groups: dict[int, list[str]] = {}
    for key in sorted(keys):
        groups.setdefault(class_of[key], []).append(key)
    hidden: list[str] = []
    for _, group in sorted(groups.items()):
        labelled = max(1, round(fraction * len(group)))
        hidden += [group[index] for index in rng.permutation(len(group))[labelled:]]
    return frozenset(hidden)


def epoch_steps(config: BatchConfig, feature_set: FeatureSet, keys: Collection[str]) -> int:
    """Returns the number of steps of an epoch, which is one pass through all training utterances.

    Utterances with hidden labels count too, so that runs with fewer labels are as long.
    """
    segments = Segments(config.segment_frames, config.segment_hop)
    examples = sum(segments.count(row.frames) for row in feature_set.rows if row.key in keys)
    return -(-examples // config.size)


def training_batches(
    config: TrainConfig,
    part: FoldPart,
    hidden: Collection[str],
    unlabelled: Sequence[FoldPart],
    statistics: FeatureStatistics,
    model: keras.Model,
    *,
    joint: Sequence[tuple[FoldPart, np.ndarray]] = (),
    steps: int,
    seed: int,
) -> JointBatches | SpeakerStreams | JointStreams:
    """Returns the batches of a fold: its labelled stream, and one stream per unlabelled source.

    Args:
        config: the run.
        part: all training utterances, with their classes.
        hidden: those of them that are used without their labels.
        unlabelled: the training utterances of each unlabelled set, without classes.
        statistics: of the training part.
        model: keras.Model that is trained, with the classes in its logits; its normalisers are set.
        joint: the training utterances of each joint set, with classes of the union, and which of
            them the set's corpus has, bool (classes of the union,).
        steps: int. Batches per epoch of the fold's own utterances.
        seed: int. Of the fold.
    """
    batch = config.batch
    unlabelled_size = config.unlabelled.size or batch.size
    sources = [("labelled", part, batch.size)]
    if hidden_keys := [key for key in part.class_of if key in hidden]:
        labelled = {key: index for key, index in part.class_of.items() if key not in hidden}
        without_label = dict.fromkeys(hidden_keys, UNLABELLED)
        sources = [
            ("labelled", FoldPart(part.feature_set, labelled, batch.cache_gb), batch.size),
            (
                "unlabelled",
                FoldPart(part.feature_set, without_label, batch.cache_gb),
                unlabelled_size,
            ),
        ]
    sources += [
        (f"unlabelled/{other.feature_set.schema.name}", other, unlabelled_size)
        for other in unlabelled
    ]
    own_classes = model.output["logits"].shape[-1]
    num_classes = joint[0][1].size if joint else own_classes
    streams = [
        TrainingBatches(
            source,
            num_classes,
            size,
            batch.bucket_frames,
            _class_weights(source.class_of, num_classes, batch.class_weights),
            config.augment,
            statistics.mean,
            statistics.std,
            seed if name == "labelled" else mixed_seed(seed, name),
            segments=Segments(batch.segment_frames, batch.segment_hop),
            fixed_shapes=config.jit_compile or keras.backend.backend() != "tensorflow",
            steps=steps,
        )
        for name, source, size in sources
    ]
    if takes_speakers(model):
        by_speaker = [
            _by_speaker(config, stream, model, number) for number, stream in enumerate(streams)
        ]
        own = SpeakerStreams(by_speaker, seed)
        return _with_joint(config, own, joint, own_classes, model) if joint else own
    return JointBatches(tuple(streams))


def _by_speaker(
    config: TrainConfig,
    stream: TrainingBatches,
    model: keras.Model,
    number: int,
    speech: SpeakerPart | None = None,
) -> SpeakerBatches:
    """Returns a stream for a model that takes statistics of speakers."""
    speech = speech or SpeakerPart(stream.part, "functionals" in model.input)
    return SpeakerBatches(
        stream,
        speech,
        utterance_moments(model, speech),
        config.adaptation,
        model.output["embedding"].shape[-1],
        number,
    )


def _with_joint(
    config: TrainConfig,
    own: SpeakerStreams,
    joint: Sequence[tuple[FoldPart, np.ndarray]],
    own_classes: int,
    model: keras.Model,
) -> JointStreams:
    """Returns the fold's own batches and those of the joint sets, in one order."""
    first = own.streams[0]
    share, seed = config.adaptation.joint_share, own.seed
    possible = np.arange(first.stream.num_classes) < own_classes
    own = SpeakerStreams([replace(stream, possible=possible) for stream in own.streams], seed)
    steps = joint_steps(own.steps, share) - own.steps
    streams = []
    for number, (part, of_corpus) in enumerate(joint, start=len(own.streams)):
        stream = replace(
            first.stream,
            part=part,
            class_weights=np.ones(len(of_corpus)),
            seed=mixed_seed(seed, f"joint/{part.feature_set.schema.name}"),
            steps=steps,
        )
        like = replace(first.speech, part=part, like=first.speech, _read=[])
        by_speaker = _by_speaker(config, stream, model, number, like)
        streams.append(replace(by_speaker, possible=of_corpus, unknown=UNKNOWN_ELSEWHERE))
    return JointStreams(own, streams, share, seed)


def _class_weights(class_of: Mapping[str, int], num_classes: int, balanced: bool) -> np.ndarray:
    """Returns the weight of an utterance of each class, (num_classes,)."""
    counts = np.bincount([c for c in class_of.values() if c >= 0], minlength=num_classes)
    if not balanced or not counts.any():
        return np.ones(num_classes)
    return counts.sum() / np.maximum(counts, 1) / np.count_nonzero(counts)
