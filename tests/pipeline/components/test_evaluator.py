import pytest

from pipeline.components.evaluator import COMPONENT
from pipeline.gates.blessing import bless, reasons_against
from pipeline.gates.evaluation import load_evaluation
from ser_keras.errors import ConfigError
from tests.pipeline.components.tasks import run
from tests.pipeline.runs import probabilities_of, write_run

LOWEST = {"all": {"ua": 0.9}}


@pytest.fixture
def inputs(feature_set, features, tmp_path):
    """A run that is wrong about three of 48 utterances (WA 0.9375), and its features."""
    rows = feature_set.rows
    return {
        "model": write_run(tmp_path / "run", rows, probabilities_of(rows, (0, 1, 2))),
        "features": features,
    }


def test_scores_above_the_limits_are_blessed(inputs, tmp_path):
    result, outputs = run(COMPONENT, inputs, tmp_path, lowest=LOWEST)
    assert not result.refusal
    assert (result.facts["blessed"], result.facts["wa"]) == (True, 0.9375)
    assert reasons_against(outputs["evaluation"]) == []
    assert load_evaluation(outputs["evaluation"])["slices"]["all"]["all"]["wa"] == 0.9375


def test_scores_below_them_and_no_limits_are_refused_with_the_scores_kept(inputs, tmp_path):
    result, outputs = run(COMPONENT, inputs, tmp_path / "1", lowest={"all": {"ua": 0.95}})
    assert result.refusal == "all: ua is 0.938, at least 0.95 is expected"
    assert reasons_against(outputs["evaluation"]) == [result.refusal]
    assert load_evaluation(outputs["evaluation"])["slices"]
    result, outputs = run(COMPONENT, inputs, tmp_path / "2")
    assert "no limits, no blessing" in result.refusal
    assert not result.facts["blessed"]


def test_the_last_blessed_evaluation_is_the_bar_and_there_may_be_none_yet(
    inputs, feature_set, tmp_path
):
    drop = {"all": {"wa": 0.01}}
    result, outputs = run(COMPONENT, inputs, tmp_path / "1", lowest=LOWEST, largest_drop=drop)
    assert not result.refusal
    assert result.facts["notes"] == [
        "largest_drop is not judged: there is no blessed evaluation yet"
    ]
    worse = write_run(
        tmp_path / "worse", feature_set.rows, probabilities_of(feature_set.rows, range(4))
    )
    changed_inputs = {**inputs, "model": worse, "baseline": outputs["evaluation"]}
    result, _ = run(COMPONENT, changed_inputs, tmp_path / "2", lowest=LOWEST, largest_drop=drop)
    assert result.refusal == (
        "all: wa is 0.917, in the blessed evaluation 0.938, a drop of at most 0.01 is expected"
    )
    bless(outputs["evaluation"], ["too slow"])
    with pytest.raises(ConfigError, match="found a baseline that is not blessed"):
        run(COMPONENT, changed_inputs, tmp_path / "3", lowest=LOWEST)
