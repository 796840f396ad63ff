"""Calibration: how reliable probabilities are, and the temperature that makes them more so."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ser_keras.errors import ConfigError
from ser_keras.metrics.scores import class_pairs, class_probabilities

# A temperature at a limit means that the part it was fitted on was too small or too easy.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.1, 10.0
_TINY = 1e-12


def reliability(
    y_true: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> list[dict[str, float]]:
    """Returns how often the model is right at each level of confidence, bin by bin.

    The confidence is the largest probability; bin b holds those in `(b / bins, (b + 1) / bins]`.
    Bins without utterances are left out. Guo et al. 2017, "On Calibration of Modern Neural
    Networks", Sec. 2.

    Args:
        y_true: int (N,). True classes.
        probabilities: float (N, K). Rows sum to one.
        bins: int. Number of bins.

    Returns:
        of each bin: "utterances", "confidence" and "accuracy", the means over them.

    Raises:
        ConfigError: the shapes do not fit, or the rows are no probabilities.

    Example:
        >>> reliability([0, 1], [[0.75, 0.25], [0.75, 0.25]])
        [{'utterances': 2, 'confidence': 0.75, 'accuracy': 0.5}]
    """
    shares = class_probabilities(probabilities)
    true, predicted = class_pairs(y_true, shares.argmax(axis=1), shares.shape[1])
    if bins < 1:
        raise ConfigError(f"calibration error: found {bins} bins, expected at least 1.")
    confidence = shares.max(axis=1)
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count, confidences, correct = (
        np.bincount(index, weights=weights, minlength=bins)
        for weights in (None, confidence, true == predicted)
    )
    return [
        {
            "utterances": int(count[b]),
            "confidence": float(confidences[b] / count[b]),
            "accuracy": float(correct[b] / count[b]),
        }
        for b in np.flatnonzero(count)
    ]


def expected_calibration_error(
    y_true: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> float:
    """Returns `sum_b n_b / N |accuracy_b - confidence_b|` over the bins of `reliability`.

    Guo et al. 2017, Eq. 3. Arguments and errors are those of `reliability`.

    Example:
        >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.9, 0.1]]), 3)
        0.4
    """
    levels = reliability(y_true, probabilities, bins)
    gaps = [level["utterances"] * abs(level["accuracy"] - level["confidence"]) for level in levels]
    return sum(gaps) / sum(level["utterances"] for level in levels)


def cross_entropy(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Returns the mean of `-log p` of the true classes, in nats.

    Example:
        >>> round(cross_entropy([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 3)
        0.693
    """
    shares = class_probabilities(probabilities)
    true, _ = class_pairs(y_true, shares.argmax(axis=1), shares.shape[1])
    return float(-np.log(np.maximum(shares[np.arange(len(true)), true], _TINY)).mean())


def with_temperature(probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """Returns `softmax(log p / T)`, float64 (N, K): the same answers, less confident where T > 1.

    Of a softmax this is the softmax of its logits divided by T (Guo et al. 2017, Eq. 9); written
    in probabilities it also holds for their mean over segments, which has no logits.

    Example:
        >>> with_temperature([[0.8, 0.2]], 2.0).round(3)
        array([[0.667, 0.333]])
    """
    powers = class_probabilities(probabilities) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Returns the T from 0.1 to 10 with the least cross-entropy, rounded to four digits.

    Guo et al. 2017, Sec. 4.2. The cross-entropy is convex in 1/T, so there is one such T.

    Args:
        y_true: int (N,). True classes of utterances that the model was not trained on.
        probabilities: float (N, K). The model's probabilities of them.

    Raises:
        ConfigError: as `reliability` does.

    Example:
        >>> fit_temperature([0, 0, 0, 1], [[0.9, 0.1]] * 4)
        2.0
    """
    from scipy.optimize import minimize_scalar

    shares: Any = np.maximum(class_probabilities(probabilities), _TINY)
    shares = shares / shares.sum(axis=1, keepdims=True)
    optimum = minimize_scalar(
        lambda log: cross_entropy(y_true, with_temperature(shares, np.exp(log))),
        bounds=(np.log(LEAST_TEMPERATURE), np.log(MOST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return round(float(np.exp(optimum.x)), 4)
