import json
from dataclasses import replace

import numpy as np
import pytest

from ser_keras import plots
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from tuning.study import Line, Study, load_study, run_study, study_names
from tuning.trial import trial_config


@pytest.fixture(scope="module")
def study(recipe):
    line = Line("how much, of it", "model.options.dropout", "share", (0.0, 0.5), {})
    return Study("tiny", "no paper", recipe, (line,))


@pytest.mark.parametrize("name", study_names())
def test_every_value_of_every_study_makes_a_model(name):
    study = load_study(name)
    assert all(len(line.values) > 1 for line in study.lines)
    for line in study.lines:
        for value in line.values:
            config = trial_config(study.recipe, dict(line.fixed) | {line.key: value}, ())
            dim = get_spec(config.spec).dim
            build_model(config.model.name, num_classes=4, dim=dim, **config.model.options)


def test_unknown_studies_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'moma_blocks'"):
        load_study("moma_block")


def test_a_study_of_some_values_leaves_the_others_out():
    heights, widths = load_study("filter_shapes", only=(2, 10, 80)).lines
    assert (heights.values, widths.values) == ((2, 10, 80), (2, 80))
    (heights,) = load_study("filter_shapes", only=(100,)).lines
    assert heights.values == (100,)
    with pytest.raises(ConfigError, match=r"found value 3, expected some of \[2, 4, 5, 8, 10, "):
        load_study("filter_shapes", only=(3,))


@pytest.mark.slow
def test_a_study_trains_at_every_value_and_goes_on(study, feature_set, protocol, tmp_path):
    folds = [protocol.folds[0].name]
    result = run_study(study, feature_set, protocol, tmp_path, folds=folds)
    points = result["lines"][0]["points"]
    assert [point["value"] for point in points] == [0.0, 0.5]
    for point in points:
        assert set(point["recalls"]) == set(protocol.class_set.classes)
        assert 0 <= point["wa"] <= 1
        recalls = [value for value in point["recalls"].values() if value is not None]
        assert point["ua"] == pytest.approx(sum(recalls) / len(recalls), abs=1e-4)
    seen = []
    again = run_study(
        study, feature_set, protocol, tmp_path, folds=folds, progress=lambda *of: seen.append(of)
    )
    assert again == result == json.loads((tmp_path / "study.json").read_text())
    assert not seen
    plots.study(result, tmp_path / "study.svg")
    text = (tmp_path / "study.svg").read_text()
    for words in ("how much, of it (share)", "UA", "WA", "chosen", *protocol.class_set.classes):
        assert f"<!-- {words} -->" in text
    with pytest.raises(SchemaError, match=r"a study with other settings \(changes"):
        run_study(study, feature_set, protocol, tmp_path, folds=folds, changes=["epochs=2"])


@pytest.mark.slow
def test_points_hold_the_wa_and_the_study_s_criterion_chooses(
    study, feature_set, protocol, tmp_path
):
    folds = [fold.name for fold in protocol.folds[:2]]
    for criterion in ("ua", "wa"):
        asked = replace(study, criterion=criterion)
        result = run_study(asked, feature_set, protocol, tmp_path, folds=folds)
        (line,) = result["lines"]
        assert result["criterion"] == criterion
        for point in line["points"]:
            right = total = 0
            for fold in folds:
                path = tmp_path / "how-much-of-it" / str(point["value"]) / fold / "scores.npz"
                with np.load(path) as scores:
                    for row, label in zip(scores["probabilities"], scores["classes"], strict=True):
                        right += int(np.argmax(row) == label)
                        total += 1
            assert point["wa"] == pytest.approx(right / total)
        best = max(point[criterion] for point in line["points"])
        first = next(point for point in line["points"] if point[criterion] == best)
        assert line["chosen"] == first["value"]


def test_the_filter_study_is_judged_by_wa_as_its_paper_does():
    assert load_study("filter_shapes").criterion == "wa"
    assert {load_study(name).criterion for name in study_names() if name != "filter_shapes"} == {
        "ua"
    }
