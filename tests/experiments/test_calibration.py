import json
from dataclasses import replace

import keras
import pytest

from ser_keras import metrics
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments.calibration import FILE, UNCALIBRATED, calibrate_run, temperature_of
from ser_keras.experiments.crossval import pooled_scores, run_crossval
from ser_keras.experiments.fold_runs import validation_fold
from ser_keras.training.predict import predict
from ser_keras.training.trainer import FoldTrainer
from tests.small_trainings import tiny_config

FOLDS = ("speaker-s01", "speaker-s02")


@pytest.fixture(scope="module")
def runs(feature_set, protocol, tmp_path_factory):
    """Folders of a run with validation, and of one with fixed epochs."""
    folder_of = {}
    for select in ("validation", "last"):
        config = tiny_config(select=select)
        folder_of[select] = tmp_path_factory.mktemp(select)
        run_crossval({"tiny": config}, feature_set, protocol, folder_of[select], folds=FOLDS)
    return folder_of


def record_of(run, fold):
    return json.loads((run / "folds" / fold / "fold.json").read_text())


@pytest.mark.slow
def test_with_validation_the_fold_s_own_model_is_fitted_on_its_speakers(
    runs, feature_set, protocol
):
    run = runs["validation"]
    calibration = calibrate_run(run, feature_set)
    assert list(calibration["folds"]) == list(FOLDS)
    fold = protocol.folds[0]
    config = tiny_config(select="validation")
    trainer = FoldTrainer(config, feature_set, protocol.class_set, fold, run / "folds" / fold.name)
    model = keras.models.load_model(trainer.folder / "model.keras")
    scores = predict(model, trainer.parts.part(sorted(fold.valid)), config.batch)
    fitted = calibration["folds"][fold.name]
    assert fitted["temperature"] == metrics.fit_temperature(scores.classes, scores.probabilities)
    assert f"{len(fold.valid)} utterances of 1 speaker, which also chose" in fitted["fitted_on"]
    assert not (trainer.folder / "calibration").exists()


@pytest.mark.slow
def test_with_fixed_epochs_a_model_without_the_validation_part_is_fitted(
    runs, feature_set, protocol, tmp_path
):
    run, fold = runs["last"], protocol.folds[0]
    calibration = calibrate_run(run, feature_set, folds=[fold.name])
    inner = validation_fold(fold)
    trainer = FoldTrainer(
        tiny_config(select="last"), feature_set, protocol.class_set, inner, tmp_path
    )
    assert set(trainer.parts.train_keys).isdisjoint(fold.valid + fold.test)
    stored = json.loads((run / "folds" / fold.name / "calibration" / "fold.json").read_text())
    assert stored["weights_sha256"] == trainer.run()["weights_sha256"]
    scores = pooled_scores(run / "folds" / fold.name, [{"fold": "calibration"}])
    assert set(scores["keys"]) == set(fold.valid)
    expected = metrics.fit_temperature(scores["classes"], scores["probabilities"])
    assert calibration["folds"][fold.name]["temperature"] == expected


@pytest.mark.slow
def test_folds_fitted_before_stay_and_are_not_trained_again(runs, feature_set):
    run = runs["last"]
    first = calibrate_run(run, feature_set, folds=FOLDS[:1])
    second = run / "folds" / FOLDS[0] / "calibration" / "model.keras"
    before = second.stat().st_mtime_ns
    both = calibrate_run(run, feature_set, folds=FOLDS[1:])
    assert list(both["folds"]) == list(FOLDS)
    assert both["folds"][FOLDS[0]] == first["folds"][FOLDS[0]]
    assert second.stat().st_mtime_ns == before
    assert json.loads((run / FILE).read_text()) == both


@pytest.mark.slow
def test_before_and_after_are_the_test_parts_of_the_folds(runs, feature_set):
    run = runs["validation"]
    calibration = calibrate_run(run, feature_set)
    scores = pooled_scores(run / "folds", [{"fold": fold} for fold in FOLDS])
    before = calibration["before"]["expected_calibration_error"]
    assert before == metrics.expected_calibration_error(scores["classes"], scores["probabilities"])
    result = json.loads((run / "result.json").read_text())
    assert before == pytest.approx(result["pooled"]["expected_calibration_error"])
    assert calibration["before"]["reliability"] == result["reliability"]
    total = sum(bin["utterances"] for bin in calibration["after"]["reliability"])
    assert total == len(scores["classes"])


@pytest.mark.slow
def test_a_nested_choice_has_trained_the_second_model_already(feature_set, protocol, tmp_path):
    config = tiny_config(select="last")
    recipes = {"one": config, "two": replace(config, epochs=1)}
    run_crossval(recipes, feature_set, protocol, tmp_path, folds=FOLDS[:1])
    calibration = calibrate_run(tmp_path, feature_set)
    folder = tmp_path / "folds" / FOLDS[0]
    assert not (folder / "calibration").exists()
    chosen = json.loads((tmp_path / "result.json").read_text())["folds"][0]["recipe"]
    scores = pooled_scores(folder / "choice", [{"fold": chosen}])
    expected = metrics.fit_temperature(scores["classes"], scores["probabilities"])
    assert calibration["folds"][FOLDS[0]]["temperature"] == expected


@pytest.mark.slow
def test_a_temperature_of_other_weights_is_refused(runs, feature_set):
    run = runs["validation"]
    stored = calibrate_run(run, feature_set)["folds"][FOLDS[0]]
    record = record_of(run, FOLDS[0])
    kept = {key: stored[key] for key in ("temperature", "fitted_on")}
    assert temperature_of(run, record) == kept
    with pytest.raises(SchemaError, match="Run ser calibrate again"):
        temperature_of(run, record | {"weights_sha256": "0" * 64})


@pytest.mark.slow
def test_a_fold_that_is_not_trained_is_named(runs, feature_set):
    with pytest.raises(ConfigError, match="speaker-s03 is not trained yet"):
        calibrate_run(runs["last"], feature_set, folds=["speaker-s03"])


def test_a_run_that_nobody_calibrated_has_the_temperature_one(tmp_path):
    assert temperature_of(tmp_path, {"fold": "x", "weights_sha256": ""}) == UNCALIBRATED
