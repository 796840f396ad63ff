"""Every score of a set of answers, ready for JSON."""

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
        speakers: (N,). Who spoke each utterance.
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
    said = shares.argmax(axis=1)
    counts = confusion_matrix(y_true, said, len(classes))
    recalls = recall_per_class(y_true, said, len(classes)).tolist()
    present = counts.sum(axis=1) > 0

    def score(metric: str) -> float:
        return float(METRICS[metric](counts))

    def interval(metric: str) -> list[float]:
        return list(speaker_interval(y_true, said, speakers, len(classes), metric, seed=seed))

    return {
        "wa": score("weighted_accuracy"),
        "wa_interval": interval("weighted_accuracy"),
        "ua": score("unweighted_accuracy"),
        "ua_interval": interval("unweighted_accuracy"),
        "macro_f1": score("macro_f1"),
        "recalls": {
            name: value if there else None
            for name, value, there in zip(classes, recalls, present, strict=True)
        },
        "absent": [name for name, there in zip(classes, present, strict=True) if not there],
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
    """Returns each speaker's confusion matrix, by speaker: what a comparison of two models needs.

    Args:
        y_true: int (N,). True classes.
        y_pred: int (N,). Classes said.
        speakers: (N,). Who spoke each utterance.
        num_classes: int. Number of classes.

    Raises:
        ConfigError: data as in `confusion_matrix`.

    Example:
        >>> confusion_by_speaker([0, 1, 1], [0, 1, 0], ["b", "a", "b"], 2)
        {'a': [[0, 0], [0, 1]], 'b': [[1, 0], [1, 0]]}
    """
    true, said, who = np.asarray(y_true), np.asarray(y_pred), np.asarray(speakers, dtype=str)
    return {
        str(name): confusion_matrix(true[who == name], said[who == name], num_classes).tolist()
        for name in np.unique(who)
    }
