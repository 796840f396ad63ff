"""Scores of a recipe trained with several seeds: their mean, with intervals over speakers."""

from collections.abc import Mapping, Sequence

import numpy as np

from ser_keras.errors import ConfigError
from ser_keras.metrics.intervals import quantiles
from ser_keras.metrics.scores import score_of

# A confusion matrix for each speaker, true classes in the rows.
BySpeaker = Mapping[str, Sequence[Sequence[int]]]


def mean_over_seeds(
    seeds: Sequence[BySpeaker],
    metric: str = "unweighted_accuracy",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Returns the mean score of several trainings, and its interval by resampling speakers.

    Each resample draws as many speakers as there are, with replacement; all trainings are scored on
    these speakers, and the mean of their scores is taken. With one training it is the interval of
    `speaker_interval`. One speaker says nothing about others: then the interval is (0, 1).

    Args:
        seeds: confusions by speaker of each training, at least one; all of the same utterances.
        metric: str. A name in `METRICS`.
        resamples: int. Number of resamples.
        level: float. Coverage, between 0 and 1.
        seed: int. Seed of the resamples.

    Returns:
        (mean, low, high).

    Raises:
        ConfigError: unknown metric, or trainings of other utterances.

    Example:
        >>> mean_over_seeds([{"a": [[2, 0], [0, 2]]}, {"a": [[2, 0], [2, 0]]}])
        (0.75, 0.0, 1.0)
    """
    [mean], drawn = _scores([seeds], metric, resamples, seed)
    if len(seeds[0]) < 2:
        return mean, 0.0, 1.0
    return mean, *quantiles(drawn[0], level)


def difference_over_seeds(
    seeds: Sequence[BySpeaker],
    others: Sequence[BySpeaker],
    metric: str = "unweighted_accuracy",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Returns how much higher one mean over trainings is than another, and its interval.

    As `mean_over_seeds`, with both scored on the same resampled speakers; with one training each it
    is `speaker_difference`. With one speaker the interval is (-1, 1).

    Args:
        seeds: confusions by speaker of each training.
        others: the same of what they are compared with.
        metric: str. A name in `METRICS`.
        resamples: int. Number of resamples.
        level: float. Coverage, between 0 and 1.
        seed: int. Seed of the resamples.

    Returns:
        (difference, low, high).

    Raises:
        ConfigError: unknown metric, or trainings of other utterances.

    Example:
        >>> right, wrong = {"a": [[2, 0], [0, 2]]}, {"a": [[2, 0], [2, 0]]}
        >>> difference_over_seeds([right, right], [right, wrong])
        (0.25, -1.0, 1.0)
    """
    means, drawn = _scores([seeds, others], metric, resamples, seed)
    difference = means[0] - means[1]
    if len(seeds[0]) < 2:
        return difference, -1.0, 1.0
    return difference, *quantiles(drawn[0] - drawn[1], level)


def same_utterances(first: BySpeaker, second: BySpeaker) -> bool:
    """Tells whether two trainings scored equally many utterances of each speaker and class.

    Example:
        >>> same_utterances({"a": [[1, 1]]}, {"a": [[2, 0]]}), same_utterances({"a": [[1, 1]]}, {})
        (True, False)
    """
    return _utterances(first) == _utterances(second)


def _utterances(by_speaker: BySpeaker) -> dict[str, list[int]]:
    return {name: [sum(row) for row in counts] for name, counts in by_speaker.items()}


def _scores(
    groups: Sequence[Sequence[BySpeaker]], metric: str, resamples: int, seed: int
) -> tuple[list[float], list[np.ndarray]]:
    """Returns the mean score of each group of trainings, and its scores on every resample."""
    score = score_of(metric)
    reference = groups[0][0]
    for by_speaker in (by_speaker for group in groups for by_speaker in group):
        if not by_speaker or not same_utterances(reference, by_speaker):
            raise ConfigError(
                f"scores over seeds: found speakers {', '.join(by_speaker) or 'none'}, expected "
                f"the utterances of {', '.join(reference) or 'at least one'} in each training. "
                "Compare runs of the same folds and features."
            )
    names = sorted(reference)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    means, drawn = [], []
    for group in groups:
        counts = np.array([[by_speaker[name] for name in names] for by_speaker in group])
        means.append(float(score(counts.sum(axis=1)).mean()))
        drawn.append(score(np.einsum("rs,ksij->rkij", draws, counts)).mean(axis=1))
    return means, drawn
