import json
from dataclasses import replace

import pytest

from ser_keras import plots
from ser_keras.config import config_from_dict
from ser_keras.errors import ConfigError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.label_curve import WITH, WITHOUT, run_label_curve
from ser_keras.report.summary import label_curve_table

CONFIG = config_from_dict(
    {
        "epochs": 1,
        "select": "last",
        "model": {
            "name": "sparse_autoencoder",
            "options": {"encoder_units": 208, "recurrent_units": 2},
        },
    }
)


@pytest.fixture(scope="module")
def folds(protocol):
    return [protocol.folds[0].name]


@pytest.fixture(scope="module")
def curve(feature_set, protocol, folds, tmp_path_factory):
    output = tmp_path_factory.mktemp("curve")
    return run_label_curve(
        "tiny", CONFIG, feature_set, protocol, output, fractions=(1.0, 0.34), folds=folds
    )


@pytest.mark.slow
def test_every_share_is_trained_with_and_without_what_has_no_label(curve, protocol):
    trainings = [(point["fraction"], point["unlabelled"]) for point in curve["points"]]
    assert trainings == [(0.34, WITHOUT), (0.34, WITH), (1.0, WITHOUT)]
    fold = protocol.folds[0]
    utterances = len(fold.train) + len(fold.valid)
    without, with_unlabelled, complete = (point["labelled"] for point in curve["points"])
    assert without == with_unlabelled < complete == utterances


@pytest.mark.slow
def test_a_point_is_the_cross_validation_at_its_share(
    curve, feature_set, protocol, folds, tmp_path
):
    for point in curve["points"][:2]:
        use = point["unlabelled"] == WITH
        config = replace(
            CONFIG, unlabelled=replace(CONFIG.unlabelled, label_fraction=0.34, use=use)
        )
        result = run_crossval(
            {"tiny": config}, feature_set, protocol, tmp_path / str(use), folds=folds
        )
        assert point["ua"] == result["pooled"]["ua"]
        assert point["ua_interval"] == result["pooled"]["ua_interval"]


@pytest.mark.slow
def test_the_curve_is_json_a_table_and_a_picture(curve, tmp_path):
    assert json.loads(json.dumps(curve, allow_nan=False))["points"] == curve["points"]
    first, _, *rows = label_curve_table(curve).splitlines()
    assert first == f"| labels | {WITHOUT} | {WITH} |"
    assert [row.split(" %")[0] for row in rows] == ["| 34", "| 100"]
    assert rows[1].endswith("|  |")
    plots.label_curve(curve, tmp_path / "one.svg")
    assert b"labelled alone" in (tmp_path / "one.svg").read_bytes()


def test_a_system_that_needs_labels_is_refused(feature_set, protocol, tmp_path):
    config = config_from_dict({"model": {"name": "moma"}})
    with pytest.raises(ConfigError, match="learns from labels alone, expected sparse_autoencoder"):
        run_label_curve("moma", config, feature_set, protocol, tmp_path)
