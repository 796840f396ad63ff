"""Scores of utterances: the class probabilities of a model, averaged over their segments."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from ser_keras.adaptation.speakers import blind, enrolled, takes_speakers
from ser_keras.config import BatchConfig
from ser_keras.data.batches import evaluation_batches
from ser_keras.data.part import FoldPart
from ser_keras.data.segments import Segments
from ser_keras.errors import ConfigError


@dataclass(frozen=True)
class Scores:
    """A model's class probabilities of a set of utterances.

    Args:
        keys: (n,) str, sorted.
        classes: (n,) int. True classes.
        probabilities: (n, num_classes) float32.
    """

    keys: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each utterance, (n,) int."""
        return self.probabilities.argmax(axis=1)

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the true classes, in nats."""
        chosen = self.probabilities[np.arange(len(self.classes)), self.classes]
        return float(-np.log(np.maximum(chosen, 1e-7)).mean())


def predict(
    model: keras.Model,
    part: FoldPart,
    config: BatchConfig,
    track: str = "blind",
    least_s: float = 0.0,
) -> Scores:
    """Returns the model's scores of every utterance of `part`, in key order.

    Args:
        model: keras.Model of `ser_keras.models`.
        part: the utterances.
        config: size of batches, and how utterances are cut.
        track: str. `"blind"`, or `"adapted"`: the model also knows the statistics of all recordings
            that the part holds of a speaker, without their classes.
        least_s: float. On the adapted track, a speaker with less speech than this gets the blind
            answer.

    Raises:
        ConfigError: the adapted track of a model that takes no statistics of a speaker.
    """
    if not takes_speakers(model):
        if track != "blind":
            raise ConfigError(
                f"model {model.name}: has no adapted track, since it takes no statistics of a "
                "speaker. Train it with normalizer: speaker and model.options.speaker."
            )
        return _scores(model, part, config, lambda keys: {})
    if track == "blind":
        return _scores(model, part, config, blind(model, part).inputs)
    first = enrolled(model, part, None, least_s)
    embeddings = _outputs(model, part, config, first.inputs, "embedding")
    return _scores(model, part, config, enrolled(model, part, embeddings, least_s).inputs)


SpeakerInputs = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def _batches(
    model: keras.Model, part: FoldPart, config: BatchConfig, speaker_inputs: SpeakerInputs
) -> Iterator[tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]]:
    """Yields keys, classes and outputs of every batch."""
    # Keras would compile an uncompiled model with XLA, once for every length.
    model.jit_compile = False
    fixed = keras.backend.backend() != "tensorflow"
    segments = Segments(config.segment_frames, config.test_hop)
    for keys, inputs, classes in evaluation_batches(
        part, config.size, config.bucket_frames, fixed, segments
    ):
        yield keys, classes, model.predict_on_batch({**inputs, **speaker_inputs(keys)})


def _outputs(
    model: keras.Model,
    part: FoldPart,
    config: BatchConfig,
    speaker_inputs: SpeakerInputs,
    name: str,
) -> dict[str, np.ndarray]:
    """Returns an output of the model for each utterance, by key."""
    values: dict[str, np.ndarray] = {}
    for keys, _, outputs in _batches(model, part, config, speaker_inputs):
        rows = keras.ops.convert_to_numpy(outputs[name])
        values |= dict(zip(keys.tolist(), rows, strict=True))
    return values


def _scores(
    model: keras.Model, part: FoldPart, config: BatchConfig, speaker_inputs: SpeakerInputs
) -> Scores:
    keys, classes, probabilities = [], [], []
    for names, truth, outputs in _batches(model, part, config, speaker_inputs):
        logits = keras.ops.convert_to_numpy(outputs["logits"])
        keys.append(names)
        classes.append(truth)
        probabilities.append(_softmax(logits.astype(np.float64)))
    return mean_over_segments(
        np.concatenate(keys), np.concatenate(classes), np.concatenate(probabilities)
    )


def mean_over_segments(keys: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> Scores:
    """Returns the scores of utterances from those of their segments, in key order.

    Args:
        keys: (segments,) str. The utterance of each segment.
        classes: (segments,) int.
        probabilities: (segments, num_classes).

    Example:
        >>> keys, classes = np.array(["b", "a", "b"]), np.array([1, 0, 1])
        >>> scores = mean_over_segments(keys, classes, np.array([[0.0, 1], [1, 0], [1, 0]]))
        >>> scores.keys.tolist(), scores.probabilities.tolist()
        (['a', 'b'], [[1.0, 0.0], [0.5, 0.5]])
    """
    names, first_segment, utterance = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros((len(names), probabilities.shape[1]))
    np.add.at(sums, utterance, probabilities)
    means = sums / np.bincount(utterance)[:, None]
    return Scores(names, classes[first_segment], means.astype(np.float32))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
