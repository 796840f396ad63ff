"""Scores of a classifier. Every function receives the number of classes; none infers it.

All scores are functions of the confusion matrix `c`, where `c[t, p]` counts utterances of class `t`
predicted as `p`, `N` is their number and `K` the number of classes. Classes that do not occur in
`y_true` are absent: averages over classes skip them, and `summarize` names them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ser_keras.errors import ConfigError, unknown_name


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> np.ndarray:
    """Returns the counts `c[t, p]`, int64 `(num_classes, num_classes)`.

    Args:
        y_true: int (N,). True classes.
        y_pred: int (N,). Predicted classes.
        num_classes: int. Number of classes, absent ones included.

    Raises:
        ConfigError: nothing to score, different lengths, or a class out of range.

    Example:
        >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    true, predicted = class_pairs(y_true, y_pred, num_classes)
    counts = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def recall_per_class(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> np.ndarray:
    """Returns `c[k, k] / sum_p c[k, p]`, float (num_classes,), nan where a class is absent.

    Example:
        >>> recall_per_class([0, 0, 1], [0, 1, 1], 3)
        array([0.5, 1. , nan])
    """
    return recalls_of(confusion_matrix(y_true, y_pred, num_classes))


def weighted_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Returns WA, the share of right answers: `sum_k c[k, k] / N`.

    Example:
        >>> weighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
        0.75
    """
    true, predicted = class_pairs(y_true, y_pred, None)
    return float(np.mean(true == predicted))


def unweighted_accuracy(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> float:
    """Returns UA, the mean of the recalls of the classes that occur.

    Example:
        >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0], 3)
        0.5
    """
    return unweighted_accuracy_of(confusion_matrix(y_true, y_pred, num_classes))


def unweighted_accuracy_of(confusion: ArrayLike) -> float:
    """Returns the UA of a confusion matrix, such as the sum of those of several folds.

    Args:
        confusion: (K, K) counts, true classes in the rows.

    Example:
        >>> unweighted_accuracy_of([[3, 1, 0], [0, 0, 0], [1, 0, 1]])
        0.625
    """
    return float(_unweighted_accuracy(np.asarray(confusion)))


def recalls_of(confusion: ArrayLike) -> np.ndarray:
    """Returns the recalls of a confusion matrix, float (K,), nan where a class is absent.

    Args:
        confusion: (K, K) counts, true classes in the rows.

    Example:
        >>> recalls_of([[3, 1], [0, 0]])
        array([0.75,  nan])
    """
    return _recalls(np.asarray(confusion))


def macro_f1(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> float:
    """Returns the mean of `2 c[k, k] / (sum_p c[k, p] + sum_t c[t, k])` of the classes that occur.

    Example:
        >>> round(macro_f1([0, 0, 0, 1], [0, 0, 0, 0], 2), 3)
        0.429
    """
    return float(_macro_f1(confusion_matrix(y_true, y_pred, num_classes)))


def mean_binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> float:
    """Returns the accuracy of "class k or not", averaged over all K classes.

    Implements MOMA, Sec. 4.4, Eq. (10), first part: UA = (TP + TN) / (P + N), with P utterances of
    class k and N others. Read so, the paper's UA is this number, and not the UA of this module.

    It equals `1 - 2 (1 - WA) / K` and is therefore far above WA: 61.0 becomes 80.5 for K = 4. Never
    put it beside an ordinary accuracy without its name.

    Departures: the paper does not say how its formula applies to four classes; the mean over the
        classes is ours.

    Example:
        >>> round(mean_binary_accuracy([0, 1, 2, 3], [0, 1, 0, 0], 4), 3)
        0.75
    """
    return float(_mean_binary_accuracy(confusion_matrix(y_true, y_pred, num_classes)))


def mean_binary_balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> float:
    """Returns the mean of recall and specificity of "class k or not", averaged over the classes.

    Implements MOMA, Sec. 4.4, Eq. (10), second part: WA = (TP / P + TN / N) / 2, with P utterances
    of class k and N others. Read so, the paper's WA is this number, and not the WA of this module.

    Absent classes are skipped; where only one class occurs, its specificity does not exist and its
    recall stands alone.

    Departures: as of `mean_binary_accuracy`.

    Example:
        >>> mean_binary_balanced_accuracy([0, 0, 1, 1], [0, 1, 1, 1], 2)
        0.75
    """
    return float(_mean_binary_balanced_accuracy(confusion_matrix(y_true, y_pred, num_classes)))


def class_pairs(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both lists of classes, (N,) int64 each.

    Raises:
        ConfigError: other shapes, or values that are no classes.
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape or not true.size:
        raise ConfigError(
            f"scores: found true classes of shape {true.shape} and answers of shape "
            f"{predicted.shape}, expected two lists of the same length with at least one utterance."
        )
    for name, values in (("true classes", true), ("answers", predicted)):
        if not np.issubdtype(values.dtype, np.integer):
            raise ConfigError(f"scores: found {name} of type {values.dtype}, expected integers.")
        if values.min() < 0 or (num_classes is not None and values.max() >= num_classes):
            raise ConfigError(
                f"scores: found {name} from {values.min()} to {values.max()}, expected 0 to "
                f"{'K' if num_classes is None else num_classes} - 1."
            )
    return true.astype(np.int64), predicted.astype(np.int64)


def class_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """Returns probabilities as float64 (N, K).

    Raises:
        ConfigError: another shape, or rows that do not sum to one.
    """
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim != 2 or not shares.size:
        raise ConfigError(f"scores: found probabilities of shape {shares.shape}, expected (N, K).")
    # Also false where something is not a number.
    if not (np.all(shares >= 0) and np.allclose(shares.sum(axis=1), 1, atol=1e-3)):
        raise ConfigError("scores: expected rows of probabilities that sum to one; found others.")
    return shares


# Everything below works on counts of shape (..., K, K), so that resamples are scored at once.


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0
    )


def _hits(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)


def _recalls(counts: np.ndarray) -> np.ndarray:
    return _ratio(_hits(counts), counts.sum(axis=-1))


def _weighted_accuracy(counts: np.ndarray) -> np.ndarray:
    return _hits(counts).sum(axis=-1) / counts.sum(axis=(-2, -1))


def _unweighted_accuracy(counts: np.ndarray) -> np.ndarray:
    return np.nanmean(_recalls(counts), axis=-1)


def _macro_f1(counts: np.ndarray) -> np.ndarray:
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    f1 = _ratio(2 * _hits(counts), true + predicted)
    return np.nanmean(np.where(true > 0, f1, np.nan), axis=-1)


def _mean_binary_accuracy(counts: np.ndarray) -> np.ndarray:
    return 1 - 2 * (1 - _weighted_accuracy(counts)) / counts.shape[-1]


def _mean_binary_balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    negatives = counts.sum(axis=(-2, -1))[..., np.newaxis] - true
    false_alarms = _ratio(predicted - _hits(counts), negatives)
    recalls = _recalls(counts)
    balanced = np.where(np.isnan(false_alarms), recalls, (recalls + 1 - false_alarms) / 2)
    return np.nanmean(balanced, axis=-1)


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "weighted_accuracy": _weighted_accuracy,
    "unweighted_accuracy": _unweighted_accuracy,
    "macro_f1": _macro_f1,
    "mean_binary_accuracy": _mean_binary_accuracy,
    "mean_binary_balanced_accuracy": _mean_binary_balanced_accuracy,
}


def score_of(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the score called `name`, from counts (..., K, K) to (...).

    Raises:
        ConfigError: unknown name.
    """
    if name not in METRICS:
        raise ConfigError(unknown_name("metric", name, METRICS))
    return METRICS[name]
