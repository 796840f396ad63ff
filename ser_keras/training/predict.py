"""Scores of utterances: the class probabilities of a model, averaged over their segments."""

from dataclasses import dataclass

import keras
import numpy as np

from ser_keras.config import BatchConfig
from ser_keras.data.batches import evaluation_batches
from ser_keras.data.part import FoldPart
from ser_keras.data.segments import Segments


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


def predict(model: keras.Model, part: FoldPart, config: BatchConfig) -> Scores:
    """Returns the model's scores of every utterance of `part`, in key order."""
    # Keras would compile an uncompiled model with XLA, once for every length.
    model.jit_compile = False
    fixed = keras.backend.backend() != "tensorflow"
    segments = Segments(config.segment_frames, config.test_hop)
    keys, classes, probabilities = [], [], []
    for names, inputs, truth in evaluation_batches(
        part, config.size, config.bucket_frames, fixed, segments
    ):
        logits = keras.ops.convert_to_numpy(model.predict_on_batch(inputs)["logits"])
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
