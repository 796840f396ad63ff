"""Scores of utterances: the class probabilities of a model, averaged over their segments."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ser_keras.adaptation.speakers import Enroller, takes_speakers
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
    scorer = Scorer(model, part, config)
    return scorer.blind() if track == "blind" else scorer.adapted(least_s)


SpeakerInputs = Callable[[np.ndarray], Mapping[str, np.ndarray]]
_Batch = tuple[np.ndarray, dict[str, Any], np.ndarray]


class Scorer:
    """Scores the utterances of one part, as often as it is asked, with or without enrolment.

    Args:
        model: keras.Model of `ser_keras.models`.
        part: the utterances.
        config: size of batches, and how utterances are cut.
        keep: bool. Keep the batches in memory, where they are scored many times.
    """

    def __init__(
        self, model: keras.Model, part: FoldPart, config: BatchConfig, *, keep: bool = False
    ):
        # Keras would compile an uncompiled model with XLA, once for every length.
        model.jit_compile = False
        self.model, self.part, self.config = model, part, config
        self.enroller = Enroller(model, part) if takes_speakers(model) else None
        self._kept = list(self._read()) if keep else None

    def blind(self) -> Scores:
        """Returns the scores of a model that is told nothing of any speaker."""
        return self._scores(self.enroller.blind().inputs if self.enroller else lambda keys: {})

    def adapted(self, least_s: float = 0.0, known: Collection[str] | None = None) -> Scores:
        """Returns the scores of a model that knows recordings of each speaker, without classes.

        Args:
            least_s: float. A speaker with less known speech than this gets the blind answer.
            known: keys of the recordings that are known; all of the part where it is None.

        Raises:
            ConfigError: a model that takes no statistics of a speaker, or a known recording that is
                not in the part.
        """
        if self.enroller is None:
            raise ConfigError(
                f"model {self.model.name}: has no adapted track, since it takes no statistics of a "
                "speaker. Train it with normalizer: speaker and model.options.speaker."
            )
        first = self.enroller.enrolled(None, least_s, known)
        embeddings = self._outputs(first.inputs, "embedding")
        return self._scores(self.enroller.enrolled(embeddings, least_s, known).inputs)

    def _read(self) -> Iterator[_Batch]:
        config = self.config
        fixed = keras.backend.backend() != "tensorflow"
        segments = Segments(config.segment_frames, config.test_hop)
        return evaluation_batches(self.part, config.size, config.bucket_frames, fixed, segments)

    def _batches(
        self, speaker_inputs: SpeakerInputs
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]]:
        """Yields keys, classes and outputs of every batch."""
        for keys, inputs, classes in self._read() if self._kept is None else self._kept:
            outputs = self.model.predict_on_batch({**inputs, **speaker_inputs(keys)})
            yield keys, classes, outputs

    def _outputs(self, speaker_inputs: SpeakerInputs, name: str) -> dict[str, np.ndarray]:
        """Returns an output of the model for each utterance, by key."""
        values: dict[str, np.ndarray] = {}
        for keys, _, outputs in self._batches(speaker_inputs):
            rows = keras.ops.convert_to_numpy(outputs[name])
            values |= dict(zip(keys.tolist(), rows, strict=True))
        return values

    def _scores(self, speaker_inputs: SpeakerInputs) -> Scores:
        keys, classes, probabilities = [], [], []
        for names, truth, outputs in self._batches(speaker_inputs):
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
