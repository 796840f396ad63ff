"""Confidence intervals of scores. The sample is one of speakers, so speakers are resampled."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ser_keras.errors import ConfigError
from ser_keras.metrics.scores import class_pairs, score_of

INTERVAL = "95 % over speakers"
RANGE_OF_TWO = "range of two"
NO_INTERVAL = ""


def interval_kind(ends: Sequence[float], speakers: int | None = None) -> str:
    """Returns what the ends of an interval over speakers are worth; all reports ask here.

    One speaker says nothing about others, whose scores may be anywhere. Two can be resampled to
    nothing but both or one of them twice: the ends are their own scores.

    Args:
        ends: as the functions below return them.
        speakers: int. How many were tested. None where a result does not say so; then only ends
            that are the whole scale are of one speaker.

    Returns:
        `INTERVAL`, `RANGE_OF_TWO`, or `NO_INTERVAL`.

    Example:
        >>> interval_kind((0.4, 0.6), 2), interval_kind((-1.0, 1.0)), interval_kind((0.4, 0.6))
        ('range of two', '', '95 % over speakers')
    """
    if speakers is None:
        speakers = 1 if tuple(ends) in {(0.0, 1.0), (-1.0, 1.0)} else 3
    return {0: NO_INTERVAL, 1: NO_INTERVAL, 2: RANGE_OF_TWO}.get(speakers, INTERVAL)


def speaker_interval(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    speakers: Sequence[str],
    num_classes: int,
    metric: str = "unweighted_accuracy",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of a score, resampling whole speakers.

    Utterances of one speaker are alike, so an interval from resampled utterances would be too
    narrow (Cameron, Gelbach and Miller 2008). Each resample draws as many speakers as there are,
    with replacement, and adds up their confusion matrices. One speaker says nothing about others:
    then the interval is (0, 1).

    Args:
        y_true: int (N,). True classes.
        y_pred: int (N,). Predicted classes.
        speakers: (N,). Speaker of each utterance.
        num_classes: int. Number of classes.
        metric: str. A name in `METRICS`.
        resamples: int. Number of resamples.
        level: float. Coverage, between 0 and 1.
        seed: int. Seed of the resamples.

    Raises:
        ConfigError: unknown metric, impossible level or number, or data as in `confusion_matrix`.

    Example:
        >>> speaker_interval([0, 1, 0, 1], [0, 1, 1, 0], ["a", "a", "b", "b"], 2)
        (0.0, 1.0)
    """
    score = score_of(metric)
    (counts,), draws = _resampled(
        y_true, [y_pred], speakers, num_classes, resamples=resamples, level=level, seed=seed
    )
    if len(counts) < 2:
        return 0.0, 1.0
    return quantiles(score(_tables(draws, counts)), level)


def speaker_difference(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    baseline_pred: ArrayLike,
    speakers: Sequence[str],
    num_classes: int,
    metric: str = "unweighted_accuracy",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Returns how much higher a model's score is than a baseline's, and its interval.

    As `speaker_interval`, with both models scored on the same resampled speakers: what makes a
    speaker hard for both does not widen the interval. One speaker says nothing about others: then
    the interval is (-1, 1).

    Args:
        y_true: int (N,). True classes.
        y_pred: int (N,). Classes predicted by the model.
        baseline_pred: int (N,). Classes predicted by the model that it is compared with.
        speakers: (N,). Speaker of each utterance.
        num_classes: int. Number of classes.
        metric: str. A name in `METRICS`.
        resamples: int. Number of resamples.
        level: float. Coverage, between 0 and 1.
        seed: int. Seed of the resamples.

    Returns:
        (difference, low, high).

    Raises:
        ConfigError: as `speaker_interval` does.

    Example:
        >>> speaker_difference([0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], ["a", "a", "b", "b"], 2)
        (0.5, 0.5, 0.5)
    """
    score = score_of(metric)
    (counts, baseline_counts), draws = _resampled(
        y_true,
        [y_pred, baseline_pred],
        speakers,
        num_classes,
        resamples=resamples,
        level=level,
        seed=seed,
    )

    def differences(draws: np.ndarray) -> np.ndarray:
        return score(_tables(draws, counts)) - score(_tables(draws, baseline_counts))

    all_speakers = np.ones((1, len(counts)), int)
    difference = float(differences(all_speakers)[0])
    if len(counts) < 2:
        return difference, -1.0, 1.0
    return difference, *quantiles(differences(draws), level)


def mean_interval(
    values: ArrayLike,
    speakers: Sequence[str],
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Returns the mean of a quantity over utterances, and its interval by resampling speakers.

    Each resample draws as many speakers as there are, with replacement, and takes the mean of all
    their utterances, as `speaker_interval` does with scores.

    Args:
        values: float (N,). One of each utterance.
        speakers: (N,). Speaker of each utterance; of two or more.
        resamples: int. Number of resamples.
        level: float. Coverage, between 0 and 1.
        seed: int. Seed of the resamples.

    Returns:
        (mean, low, high).

    Raises:
        ConfigError: fewer than two speakers, or another number of them than of values.

    Example:
        >>> mean_interval([1.0, 1.0, 1.0], ["a", "a", "b"])
        (1.0, 1.0, 1.0)
    """
    values = np.asarray(values, np.float64)
    names, index = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    if len(speakers) != len(values) or len(names) < 2:
        raise ConfigError(
            f"interval: found {len(values)} values of {len(speakers)} utterances by {len(names)} "
            "speakers, expected as many utterances as values, by two speakers or more."
        )
    sums, counts = np.bincount(index, values), np.bincount(index)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return float(values.mean()), *quantiles((draws @ sums) / (draws @ counts), level)


def _resampled(
    y_true: ArrayLike,
    predictions: Sequence[ArrayLike],
    speakers: Sequence[str],
    num_classes: int,
    *,
    resamples: int,
    level: float,
    seed: int,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns every model's confusion matrices by speaker, and how often each speaker is drawn."""
    pairs = [class_pairs(y_true, predicted, num_classes) for predicted in predictions]
    count = len(pairs[0][0])
    if len(speakers) != count:
        raise ConfigError(f"interval: found {len(speakers)} speakers for {count} utterances.")
    if not 0 < level < 1 or resamples < 1:
        raise ConfigError(
            f"interval: found level {level} and {resamples} resamples, expected a level between "
            "0 and 1 and at least one resample."
        )
    names, index = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    by_speaker = []
    for true, predicted in pairs:
        cells = (index * num_classes + true) * num_classes + predicted
        counted = np.bincount(cells, minlength=len(names) * num_classes**2)
        by_speaker.append(counted.reshape(len(names), num_classes, num_classes))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return by_speaker, draws


def _tables(draws: np.ndarray, by_speaker: np.ndarray) -> np.ndarray:
    """Returns the confusion matrix of each resample: (resamples, classes, classes)."""
    return np.einsum("rs,sij->rij", draws, by_speaker)


def quantiles(scores: np.ndarray, level: float) -> tuple[float, float]:
    """Returns the ends of the middle share `level` of the scores of resamples."""
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
