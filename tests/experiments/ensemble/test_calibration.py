"""The temperature of an ensemble comes from validation speakers whom its models do not know."""

import shutil

import numpy as np
import pytest

from ser_keras import metrics
from ser_keras.data.part import FoldPart
from ser_keras.experiments.calibration import temperature_of
from ser_keras.experiments.ensemble import calibrate_ensemble, run_ensemble
from ser_keras.models import load_model
from ser_keras.training.predict import predict
from tests.small_runs import FOLDS

pytestmark = pytest.mark.slow


def test_the_mean_of_models_without_the_validation_part_is_fitted(pool, tmp_path, read):
    """Of two members with fixed epochs on both tracks, and of one whose epoch was validated."""
    runs = [shutil.copytree(run, tmp_path / run.name) for run in pool.runs[1:]]
    output, fold = tmp_path / "ensemble", pool.protocol.folds[0]
    run_ensemble(runs, pool.sets, output, weights=[3, 1])
    calibration = calibrate_ensemble(output, pool.sets, folds=FOLDS[:1])
    fitted = calibration["folds"][fold.name]
    second = read(runs[0] / "folds" / fold.name / "calibration" / "fold.json")
    assert second["sizes"]["train"] == len(fold.train)
    with np.load(runs[0] / "folds" / fold.name / "calibration" / "scores-blind.npz") as file:
        keys, cnn = file["keys"], file["probabilities"]
    assert set(keys) == set(fold.valid)
    label_of = {row.key: row.label for row in pool.sets[1].rows}
    class_of = {key: pool.protocol.class_set.index(label_of[key]) for key in fold.valid}
    model = load_model(runs[1] / "folds" / fold.name / "model.keras", "moma")
    config = read(runs[1] / "folds" / fold.name / "fold.json")["config"]
    from ser_keras.config import config_from_dict

    batch = config_from_dict(config).batch
    moma = predict(model, FoldPart(pool.sets[1], class_of), batch)
    assert moma.keys.tolist() == keys.tolist()
    mean = (3 * cnn.astype(float) + moma.probabilities) / 4
    expected = metrics.fit_temperature([class_of[key] for key in keys], mean)
    assert fitted["temperature"] == pytest.approx(expected, abs=2e-3)
    assert "cnn-1 by a second model that did not train on it" in fitted["fitted_on"]
    assert "moma which also chose the epoch" in fitted["fitted_on"]
    record = read(output / "folds" / fold.name / "fold.json")
    assert temperature_of(output, record)["temperature"] == fitted["temperature"]
    assert calibration["before"]["cross_entropy"] > 0
