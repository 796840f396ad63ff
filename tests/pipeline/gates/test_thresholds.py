import json

import pytest

from pipeline.gates.evaluation import evaluate
from pipeline.gates.thresholds import judge
from ser_keras.errors import ConfigError
from tests.pipeline.runs import probabilities_of, write_run


@pytest.fixture
def evaluation(feature_set, features, tmp_path):
    """Of a run that is wrong about the first three utterances, all of speaker s01."""
    probabilities = probabilities_of(feature_set.rows, (0, 1, 2))
    return evaluate(write_run(tmp_path / "run", feature_set.rows, probabilities), features)


def changed(evaluation, slice_name, value, **scores):
    """The evaluation with other scores of one slice."""
    copy = json.loads(json.dumps(evaluation))
    copy["slices"][slice_name][value] |= scores
    return copy


def test_without_limits_there_is_no_blessing(evaluation):
    for lowest in ({}, {"all": {}}):
        assert judge(evaluation, lowest, {}).reasons == [
            "no limits are given (lowest, largest_drop): no limits, no blessing"
        ]


def test_a_limit_that_is_reached_blesses_and_one_that_is_not_says_where(evaluation):
    wa = evaluation["slices"]["all"]["all"]["wa"]
    assert judge(evaluation, {"all": {"wa": wa}}, {}).reasons == []
    assert judge(evaluation, {"all": {"wa": wa}, "speaker": {"wa": 0.8}}, {}).reasons == [
        "speaker s01: wa is 0.750, at least 0.8 is expected"
    ]
    low = evaluation["slices"]["all"]["all"]["ua_interval"][0]
    assert len(judge(evaluation, {"all": {"ua_low": low + 0.01}}, {}).reasons) == 1


def test_a_score_that_is_no_number_does_not_pass(evaluation):
    broken = changed(evaluation, "all", "all", ua=float("nan"))
    assert judge(broken, {"all": {"ua": 0.1}}, {}).reasons


def test_small_slices_are_shown_but_not_judged(evaluation):
    verdict = judge(evaluation, {"all": {"wa": 0.5}, "speaker": {"wa": 0.99}}, {}, None, 13)
    assert verdict.reasons == []
    assert "speaker s01 is not judged: 12 utterances" in verdict.notes
    assert judge(evaluation, {"speaker": {"wa": 0.1}}, {}, None, 13).reasons == [
        "every slice with limits is too small to be judged (min_utterances)"
    ]


def test_a_drop_is_judged_against_the_blessed_one_and_ignored_without(evaluation):
    drop = {"all": {"wa": 0.02}, "gender": {"wa": 0.02}}
    verdict = judge(evaluation, {"all": {"wa": 0.5}}, drop)
    assert verdict.reasons == []
    assert verdict.notes == ["largest_drop is not judged: there is no blessed evaluation yet"]
    assert judge(evaluation, {}, drop).reasons[0].startswith("no limits are given")
    assert judge(evaluation, {}, drop, evaluation).reasons == []
    better = changed(evaluation, "gender", "female", wa=1.0)
    (reason,) = judge(evaluation, {}, drop, better).reasons
    assert reason == (
        "gender female: wa is 0.875, in the blessed evaluation 1.000, a drop of at most 0.02 is "
        "expected"
    )
    assert judge(evaluation, {}, {"gender": {"wa": 0.13}}, better).reasons == []


def test_a_new_or_missing_slice_is_noted(evaluation):
    before = json.loads(json.dumps(evaluation))
    before["slices"]["speaker"]["s99"] = before["slices"]["speaker"].pop("s02")
    verdict = judge(evaluation, {}, {"speaker": {"wa": 0.02}}, before)
    assert verdict.reasons == []
    assert [note.split(" is not")[0] for note in verdict.notes] == [
        "change of speaker s02",
        "change of speaker s99",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", "other"),
        ("classes", ["sad"]),
        ("protocol", {"name": "other"}),
        ("track", "adapted"),
    ],
)
def test_scores_of_something_else_are_not_compared(evaluation, key, value):
    (reason,) = judge(evaluation, {}, {"all": {"ua": 0.1}}, {**evaluation, key: value}).reasons
    assert f"found scores of {key}" in reason


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"genders": {"ua": 0.5}}, "unknown slice 'genders'; did you mean 'gender'"),
        ({"all": {"uaa": 0.5}}, "unknown measure 'uaa'; did you mean 'ua'"),
        ({"all": {"ua": "high"}}, "found ua: 'high', expected a number"),
        ({"all": 0.5}, "found all: 0.5, expected measures"),
    ],
)
def test_invalid_limits_are_refused(evaluation, limits, sentence):
    for lowest, drop in ((limits, {}), ({}, limits)):
        with pytest.raises(ConfigError, match=sentence):
            judge(evaluation, lowest, drop)
