"""All scores of a set of predictions, ready for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ser_keras.errors import ConfigError
from ser_keras.metrics.calibration import expected_calibration_error
from ser_keras.metrics.intervals import speaker_interval
from ser_keras.metrics.scores import (
    METRICS,
    class_probabilities,
    confusion_matrix,
    recall_per_class,
)


def summarize(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    speakers: Sequence[str],
    classes: tuple[str, ...],
    seed: int = 0,
) -> dict[str, Any]:
    """Returns every score as values that JSON can hold.

    Args:
        y_true: int (N,). True classes.
        probabilities: float (N, K). Rows sum to one.
        speakers: (N,). Speaker of each utterance.
        classes: (K,). Names of the classes, in the order of the columns.
        seed: int. Seed of the resamples.

    Returns:
        `wa`, `ua`, `macro_f1`, their intervals over speakers (`wa_interval`, `ua_interval`),
        `recalls` by class (None where absent), `absent` classes, `confusion`, the binary pair,
        `expected_calibration_error`, and the numbers of `utterances` and `speakers`.

    Raises:
        ConfigError: shapes that do not fit, or data as in `confusion_matrix`.
    """
    shares = class_probabilities(probabilities)
    if shares.shape[1] != len(classes):
        raise ConfigError(
            f"scores: found {shares.shape[1]} columns of probabilities, expected one for each of "
            f"{', '.join(classes)}."
        )
    predicted = shares.argmax(axis=1)
    counts = confusion_matrix(y_true, predicted, len(classes))
    recalls = recall_per_class(y_true, predicted, len(classes)).tolist()
    present = counts.sum(axis=1) > 0

    def score(metric: str) -> float:
        return float(METRICS[metric](counts))

    def interval(metric: str) -> list[float]:
        limits = speaker_interval(y_true, predicted, speakers, len(classes), metric, seed=seed)
        return list(limits)

    return {
        "wa": score("weighted_accuracy"),
        "wa_interval": interval("weighted_accuracy"),
        "ua": score("unweighted_accuracy"),
        "ua_interval": interval("unweighted_accuracy"),
        "macro_f1": score("macro_f1"),
        "recalls": {
            name: value if occurs else None
            for name, value, occurs in zip(classes, recalls, present, strict=True)
        },
        "absent": [name for name, occurs in zip(classes, present, strict=True) if not occurs],
        "confusion": counts.tolist(),
        "mean_binary_accuracy": score("mean_binary_accuracy"),
        "mean_binary_balanced_accuracy": score("mean_binary_balanced_accuracy"),
        "expected_calibration_error": expected_calibration_error(y_true, shares),
        "utterances": int(counts.sum()),
        "speakers": len(set(speakers)),
    }


def confusion_by_speaker(
    y_true: ArrayLike, y_pred: ArrayLike, speakers: Sequence[str], num_classes: int
) -> dict[str, list[list[int]]]:
    """Returns each speaker's confusion matrix, by speaker, for comparing two models.

    Args:
        y_true: int (N,). True classes.
        y_pred: int (N,). Predicted classes.
        speakers: (N,). Speaker of each utterance.
        num_classes: int. Number of classes.

    Raises:
        ConfigError: data as in `confusion_matrix`.

    Example:
        >>> confusion_by_speaker([0, 1, 1], [0, 1, 0], ["b", "a", "b"], 2)
        {'a': [[0, 0], [0, 1]], 'b': [[1, 0], [1, 0]]}
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    speaker = np.asarray(speakers, dtype=str)
    return {
        str(name): confusion_matrix(
            true[speaker == name], predicted[speaker == name], num_classes
        ).tolist()
        for name in np.unique(speaker)
    }
