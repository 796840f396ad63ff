"""Scores over seeds against one training, and against resampling spelled out."""

import numpy as np
import pytest

from ser_keras import metrics
from ser_keras.errors import ConfigError

SPEAKERS = ("a", "b", "c", "d", "e")


def confusions(seed, speakers=SPEAKERS, classes=3):
    """Returns confusions by speaker; every training scores the same utterances."""
    rng = np.random.default_rng(seed)
    return {
        name: [rng.multinomial(6, np.full(classes, 1 / classes)).tolist() for _ in range(classes)]
        for name in speakers
    }


def utterances_of(by_speaker):
    cells = [
        (true, predicted, name)
        for name, counts in by_speaker.items()
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
        for _ in range(count)
    ]
    return tuple(zip(*cells, strict=True))


@pytest.mark.parametrize("metric", ["unweighted_accuracy", "weighted_accuracy"])
def test_one_seed_is_one_training(metric):
    true, predicted, speakers = utterances_of(confusions(1))
    _, low, high = metrics.mean_over_seeds([confusions(1)], metric)
    assert (low, high) == metrics.speaker_interval(true, predicted, speakers, 3, metric)
    _, other, _ = utterances_of(confusions(2))
    # Sorted by true class, the utterances of both are the same.
    assert metrics.difference_over_seeds([confusions(1)], [confusions(2)], metric) == (
        pytest.approx(metrics.speaker_difference(true, predicted, other, speakers, 3, metric))
    )


def test_the_mean_over_seeds_is_resampled_by_speaker():
    seeds, others = [confusions(k) for k in range(3)], [confusions(k) for k in range(3, 5)]
    rng, means, differences = np.random.default_rng(7), [], []

    def mean_ua(trainings, drawn):
        tables = [sum(np.array(t[SPEAKERS[k]]) for k in drawn) for t in trainings]
        return np.mean([np.mean(np.diag(t) / t.sum(axis=1)) for t in tables])

    for _ in range(4000):
        drawn = rng.integers(5, size=5)
        means.append(mean_ua(seeds, drawn))
        differences.append(means[-1] - mean_ua(others, drawn))
    mean, *ends = metrics.mean_over_seeds(seeds)
    assert mean == pytest.approx(mean_ua(seeds, range(5)))
    assert ends == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)
    difference, *ends = metrics.difference_over_seeds(seeds, others)
    assert difference == pytest.approx(mean - mean_ua(others, range(5)))
    assert ends == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.01)


def test_a_training_on_other_utterances_is_refused():
    with pytest.raises(ConfigError, match="Compare runs of the same folds"):
        metrics.mean_over_seeds([confusions(0), confusions(1, SPEAKERS[:4])])
    more = confusions(1)
    more["a"][0][0] += 1
    with pytest.raises(ConfigError, match="Compare runs of the same folds"):
        metrics.difference_over_seeds([confusions(0)], [more])
    with pytest.raises(ConfigError, match="at least one"):
        metrics.mean_over_seeds([{}])
