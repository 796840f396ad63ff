import json
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from ser_keras import metrics
from ser_keras.errors import ConfigError
from tests.reference import metrics as reference


@st.composite
def answers(draw):
    classes = draw(st.integers(2, 5))
    number = draw(st.integers(1, 30))
    labels = st.lists(st.integers(0, classes - 1), min_size=number, max_size=number)
    return draw(labels), draw(labels), classes


@given(answers())
def test_scores_equal_scikit_learn(case):
    true, predicted, classes = case
    present = sorted(set(true))
    expected = oracle.confusion_matrix(true, predicted, labels=range(classes))
    assert np.array_equal(metrics.confusion_matrix(true, predicted, classes), expected)
    assert metrics.weighted_accuracy(true, predicted) == pytest.approx(
        oracle.accuracy_score(true, predicted)
    )
    recall, f1 = (
        score(true, predicted, labels=present, average="macro", zero_division=0)
        for score in (oracle.recall_score, oracle.f1_score)
    )
    assert metrics.unweighted_accuracy(true, predicted, classes) == pytest.approx(recall)
    assert metrics.macro_f1(true, predicted, classes) == pytest.approx(f1)


@given(answers())
def test_scores_equal_counting(case):
    true, predicted, classes = case
    expected = [np.nan if r is None else r for r in reference.recalls(*case)]
    np.testing.assert_allclose(metrics.recall_per_class(*case), expected)
    for score, naive in (
        (metrics.unweighted_accuracy, reference.unweighted_accuracy),
        (metrics.mean_binary_accuracy, reference.binary_accuracy),
        (metrics.mean_binary_balanced_accuracy, reference.binary_balanced_accuracy),
    ):
        assert score(true, predicted, classes) == pytest.approx(naive(true, predicted, classes))


@given(st.integers(1, 40), st.integers(2, 5), st.integers(1, 20), st.integers(0, 999))
def test_calibration_error_equals_counting(number, classes, bins, seed):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(classes, 0.3), size=number)
    true = rng.integers(classes, size=number)
    error = metrics.expected_calibration_error(true, shares, bins)
    assert error == pytest.approx(reference.calibration_error(true, shares.tolist(), bins))


def test_certain_answers_fall_in_the_last_bin():
    assert metrics.expected_calibration_error([0, 1], np.eye(2)) == 0
    assert metrics.expected_calibration_error([1, 0], np.eye(2)) == 1


@given(st.floats(0.2, 3.0), st.integers(0, 999))
def test_the_fitted_temperature_undoes_one_that_was_applied(temperature, seed):
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.full(3, 0.7), size=400) * 0.98 + 0.02 / 3
    true = np.array([rng.choice(3, p=row) for row in honest])
    asked = metrics.fit_temperature(true, honest)
    fitted = metrics.fit_temperature(true, metrics.with_temperature(honest, 1 / temperature))
    assert fitted == pytest.approx(asked * temperature, rel=1e-3)


def test_the_fitted_temperature_is_the_best_of_a_grid():
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.full(4, 0.2), size=60)
    true = rng.integers(4, size=60)
    grid = np.geomspace(0.1, 10, 400)
    losses = [metrics.cross_entropy(true, metrics.with_temperature(shares, t)) for t in grid]
    best = metrics.cross_entropy(
        true, metrics.with_temperature(shares, metrics.fit_temperature(true, shares))
    )
    assert best <= min(losses) + 1e-9


def test_a_temperature_changes_no_answer_and_one_changes_nothing():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    hot = metrics.with_temperature(shares, 5.0)
    np.testing.assert_array_equal(hot.argmax(axis=1), shares.argmax(axis=1))
    assert (hot.max(axis=1) <= shares.max(axis=1)).all()
    np.testing.assert_allclose(metrics.with_temperature(shares, 1.0), shares)
    logits = np.log(shares) / 5.0
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(hot, softmax)


def test_certain_and_always_right_ends_at_the_least_temperature():
    assert metrics.fit_temperature([0, 1], [[0.9, 0.1], [0.1, 0.9]]) == pytest.approx(0.1, abs=1e-3)
    assert metrics.fit_temperature([0, 1], np.eye(2)) <= 10


def test_bins_hold_every_utterance_once():
    rng = np.random.default_rng(1)
    shares, true = rng.dirichlet(np.ones(3), size=77), rng.integers(3, size=77)
    bins = metrics.reliability(true, shares, 10)
    assert sum(level["utterances"] for level in bins) == 77
    right = sum(level["utterances"] * level["accuracy"] for level in bins) / 77
    assert right == pytest.approx(metrics.weighted_accuracy(true, shares.argmax(axis=1)))
    assert [level["confidence"] for level in bins] == sorted(level["confidence"] for level in bins)


def test_the_papers_binary_accuracy_is_61_in_ordinary_accuracy():
    true = [0, 1, 2, 3] * 25
    predicted = true[:61] + [(t + 1) % 4 for t in true[61:]]
    assert metrics.weighted_accuracy(true, predicted) == pytest.approx(0.61)
    assert metrics.mean_binary_accuracy(true, predicted, 4) == pytest.approx(0.805)


@given(answers())
@pytest.mark.parametrize(
    ("score", "symbol"),
    [(metrics.mean_binary_accuracy, "UA"), (metrics.mean_binary_balanced_accuracy, "WA")],
)
def test_binary_scores_are_the_formulas_of_eq_10_that_they_print(score, symbol, case):
    true, predicted, classes = case
    # Each class occurs, so that no divisor is 0.
    true, predicted = [*range(classes), *true], [0] * classes + predicted
    printed = " ".join(score.__doc__.split())
    formula = re.search(
        rf"Eq\. \(10\), .*?: {symbol} = (.+?), with P utterances of class k", printed
    )
    values = []
    for k in range(classes):
        pairs = [(t == k, s == k) for t, s in zip(true, predicted, strict=True)]
        counts = {"TP": pairs.count((True, True)), "TN": pairs.count((False, False))}
        counts |= {"P": true.count(k), "N": len(true) - true.count(k)}
        values.append(eval(formula[1], {}, counts))
    assert score(true, predicted, classes) == pytest.approx(sum(values) / classes)


def test_absent_classes_are_skipped_and_never_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.unweighted_accuracy([0, 0], [0, 2], 4) == 0.5
        assert metrics.mean_binary_balanced_accuracy([0, 0], [0, 2], 4) == 0.5
        assert np.isnan(metrics.recall_per_class([0, 0], [0, 2], 4)[1:]).all()


def _some_answers(seed=0, number=200, speakers=8, classes=4):
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=number)
    predicted = np.where(rng.random(number) < 0.6, true, rng.integers(classes, size=number))
    return true, predicted, [f"s{i}" for i in rng.integers(speakers, size=number)], classes


def test_interval_equals_repeating_utterances_one_by_one():
    true, predicted, speakers, classes = _some_answers()
    names = sorted(set(speakers))
    rng = np.random.default_rng(3)
    draws = rng.multinomial(len(names), [1 / len(names)] * len(names), size=50)
    scores = reference.speaker_interval(true, predicted, speakers, classes, draws)
    interval = metrics.speaker_interval(
        true, predicted, speakers, classes, resamples=50, level=0.8, seed=3
    )
    assert interval == pytest.approx(tuple(np.quantile(scores, [0.1, 0.9])))


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_interval_holds_the_score_and_repeats(metric):
    true, predicted, speakers, classes = _some_answers()
    low, high = metrics.speaker_interval(true, predicted, speakers, classes, metric)
    score = float(metrics.METRICS[metric](metrics.confusion_matrix(true, predicted, classes)))
    assert low < score < high
    assert (low, high) == metrics.speaker_interval(true, predicted, speakers, classes, metric)
    assert (low, high) != metrics.speaker_interval(
        true, predicted, speakers, classes, metric, seed=1
    )


def test_interval_over_speakers_is_wider_when_speakers_differ():
    true = np.zeros(80, int)
    predicted = np.repeat([0, 0, 1, 1], 20)
    low, high = metrics.speaker_interval(true, predicted, ["a", "b", "c", "d"] * 20, 2)
    clustered = metrics.speaker_interval(true, predicted, np.repeat(list("abcd"), 20), 2)
    assert (low, high) == (0.5, 0.5)
    assert clustered == (0.0, 1.0)


def test_one_speaker_says_nothing_about_others():
    assert metrics.speaker_interval([0, 1], [0, 1], ["a", "a"], 2) == (0.0, 1.0)
    assert metrics.speaker_difference([0, 1], [0, 1], [0, 0], ["a", "a"], 2) == (0.5, -1.0, 1.0)


def test_difference_scores_both_models_on_the_same_resampled_speakers():
    true, predicted, speakers, classes = _some_answers()
    baseline = _some_answers(seed=1)[1]
    names = sorted(set(speakers))
    draws = np.random.default_rng(3).multinomial(len(names), [1 / len(names)] * len(names), size=50)
    scores, baseline_scores = (
        np.array(reference.speaker_interval(true, answers, speakers, classes, draws))
        for answers in (predicted, baseline)
    )
    difference, low, high = metrics.speaker_difference(
        true, predicted, baseline, speakers, classes, resamples=50, level=0.8, seed=3
    )
    assert (low, high) == pytest.approx(tuple(np.quantile(scores - baseline_scores, [0.1, 0.9])))
    expected = [
        metrics.unweighted_accuracy(true, answers, classes) for answers in (predicted, baseline)
    ]
    assert difference == pytest.approx(expected[0] - expected[1])


def test_what_is_hard_for_both_models_does_not_widen_their_difference():
    true = np.zeros(80, int)
    hard = np.repeat([0, 0, 1, 1], 20)
    speakers = np.repeat(list("abcd"), 20)
    assert metrics.speaker_difference(true, hard, hard, speakers, 2) == (0.0, 0.0, 0.0)
    assert metrics.speaker_interval(true, hard, speakers, 2) == (0.0, 1.0)


def test_summary_survives_json_and_names_absent_classes():
    true, _, speakers, _ = _some_answers(classes=2)
    shares = np.random.default_rng(1).dirichlet(np.ones(3), size=len(true))
    summary = metrics.summarize(true, shares, speakers, ("sad", "angry", "proud"))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["absent"] == ["proud"]
    assert summary["recalls"]["proud"] is None
    assert list(summary["recalls"]) == ["sad", "angry", "proud"]
    assert np.sum(summary["confusion"]) == summary["utterances"] == 200
    assert summary["speakers"] == 8
    predicted = shares.argmax(axis=1)
    assert summary["wa"] == metrics.weighted_accuracy(true, predicted)
    assert summary["ua"] == metrics.unweighted_accuracy(true, predicted, 3)
    assert summary["ua_interval"][0] < summary["ua"] < summary["ua_interval"][1]
    assert summary["wa_interval"][0] < summary["wa"] < summary["wa_interval"][1]


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([], [], "at least one utterance"),
        ([0, 1], [0], r"shape \(2,\) and answers of shape \(1,\)"),
        ([[0]], [[0]], "expected two lists"),
        ([0, 4], [0, 0], "true classes from 0 to 4"),
        ([0, 1], [0, -1], "answers from -1 to 0"),
        ([0.0, 1.0], [0, 1], "true classes of type float64"),
    ],
)
def test_impossible_classes_are_refused(true, predicted, message):
    with pytest.raises(ConfigError, match=message):
        metrics.confusion_matrix(true, predicted, 4)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([[0.5, 0.6]], "sum to one"),
        ([[np.nan, 1.0]], "sum to one"),
        ([[-0.5, 1.5]], "sum to one"),
        ([0.5, 0.5], r"shape \(2,\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\)"),
        ([[0.2, 0.3, 0.5]], "3 columns"),
    ],
)
def test_impossible_probabilities_are_refused(shares, message):
    with pytest.raises(ConfigError, match=message):
        metrics.summarize([0], shares, ["a"], ("sad", "angry"))


def test_impossible_intervals_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'macro_f1'"):
        metrics.speaker_interval([0], [0], ["a"], 2, "macro_f2")
    with pytest.raises(ConfigError, match="1 speakers for 2 utterances"):
        metrics.speaker_interval([0, 1], [0, 1], ["a"], 2)
    with pytest.raises(ConfigError, match="level 95"):
        metrics.speaker_interval([0, 1], [0, 1], ["a", "b"], 2, level=95)
    with pytest.raises(ConfigError, match="0 bins"):
        metrics.expected_calibration_error([0], [[1.0]], bins=0)


def test_the_interval_of_a_mean_resamples_whole_speakers():
    rng = np.random.default_rng(5)
    speakers = np.repeat(["a", "b", "c"], [3, 10, 5])
    values = rng.normal(np.repeat([0.0, 1.0, 3.0], [3, 10, 5]), 0.1)
    draws = np.random.default_rng(3).multinomial(3, [1 / 3] * 3, size=200)
    means = []
    for counts in draws:
        drawn = np.concatenate(
            [np.tile(values[speakers == name], n) for name, n in zip("abc", counts, strict=True)]
        )
        means.append(drawn.mean())
    low, high = np.quantile(means, [0.1, 0.9])
    interval = metrics.mean_interval(values, speakers, resamples=200, level=0.8, seed=3)
    assert interval == pytest.approx((values.mean(), low, high))


@pytest.mark.parametrize("speakers", [["a", "a"], ["a", "b", "c"]])
def test_the_interval_of_a_mean_needs_two_speakers_and_one_of_each_value(speakers):
    with pytest.raises(ConfigError, match="expected as many utterances as values, by two speakers"):
        metrics.mean_interval([1.0, 2.0], speakers)
