"""Files of a run that a full disk has emptied or cut: each verb names the file and what to do."""

import json
import shutil

import numpy as np
import pytest

from ser_keras.config import load_config
from ser_keras.errors import SchemaError
from ser_keras.experiments.calibration import FILE, calibrate_run, temperature_of
from ser_keras.experiments.crossval import pooled_scores, run_crossval
from ser_keras.experiments.ensemble import is_ensemble
from ser_keras.experiments.evaluate import evaluate_run
from ser_keras.experiments.fold_runs import note_finished
from ser_keras.experiments.run_result import results_by_track
from ser_keras.protocols import build_protocol
from serving.export.trained_model import open_run
from tests.small_trainings import tiny_config

FOLD = "speaker-s01"


@pytest.fixture(scope="module")
def finished(feature_set, protocol, tmp_path_factory):
    """(configuration, folder of a run of one fold)."""
    config = tiny_config(epochs=1, select="last")
    output = tmp_path_factory.mktemp("runs") / "run"
    run_crossval({"tiny": config}, feature_set, protocol, output, folds=[FOLD])
    return config, output


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run, which a test may damage."""
    shutil.copytree(finished[1], tmp_path / "run")
    return tmp_path / "run"


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def filled_with_zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = [emptied, cut, filled_with_zeros]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["fold.json", "scores.npz"])
def test_a_damaged_fold_is_trained_anew_once_it_is_removed(
    finished, run, feature_set, protocol, name, damage
):
    config, whole = finished
    path = run / "folds" / FOLD / name
    damage(path)
    asked = ({"tiny": config}, feature_set, protocol, run)
    with pytest.raises(SchemaError) as refused:
        run_crossval(*asked, folds=[FOLD])
    assert str(refused.value).startswith(f"{path}: is ")
    assert "only this fold is made anew" in str(refused.value)
    if name == "fold.json":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    again = run_crossval(*asked, folds=[FOLD])
    before = json.loads((whole / "result.json").read_text())
    assert again["folds"][0]["weights_sha256"] == before["folds"][0]["weights_sha256"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_reader_of_a_fold_names_its_damaged_record(run, features, feature_set, damage):
    path = run / "folds" / FOLD / "fold.json"
    damage(path)
    for read in (
        lambda: evaluate_run(run, features),
        lambda: calibrate_run(run, feature_set),
        lambda: open_run(run, features),
    ):
        with pytest.raises(SchemaError, match=r"fold\.json: is .*Remove this file"):
            read()


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_reader_of_a_result_names_it(run, features, damage):
    damage(run / "result.json")
    for read in (
        lambda: is_ensemble(run),
        lambda: results_by_track(run),
        lambda: open_run(run, features),
    ):
        with pytest.raises(SchemaError, match=r"result\.json: is .*finished folds are kept"):
            read()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_temperatures_are_named(run, damage):
    (run / FILE).write_text(json.dumps({"folds": {}}))
    damage(run / FILE)
    with pytest.raises(SchemaError, match=rf"{FILE}: is .*give ser calibrate again"):
        temperature_of(run, {"fold": FOLD})


def test_scores_of_a_fold_that_are_gone_are_named(run):
    (run / "folds" / FOLD / "scores.npz").unlink()
    with pytest.raises(SchemaError, match=r"scores\.npz: is missing or damaged"):
        pooled_scores(run / "folds", [{"fold": FOLD}])
    np.savez(run / "folds" / FOLD / "scores.npz", keys=np.array(["a"]))
    assert pooled_scores(run / "folds", [{"fold": FOLD}])["keys"].tolist() == ["a"]


def test_an_emptied_recipe_is_not_the_recipe_by_default(tmp_path):
    (tmp_path / "best.yaml").write_text("\n")
    with pytest.raises(SchemaError, match=r"best\.yaml: is empty, expected a recipe"):
        load_config(tmp_path / "best.yaml")


def test_a_second_run_says_what_is_finished_and_names_other_settings(
    finished, run, feature_set, protocol
):
    config, _ = finished
    notes = []
    run_crossval({"tiny": config}, feature_set, protocol, run, folds=[FOLD], note=notes.append)
    assert notes == ["All folds are finished; the result is written again."]
    other = build_protocol("synthetic-loso", feature_set.rows, seed=5)
    with pytest.raises(SchemaError, match=r"another protocol \(seed: 0 there, 5 asked\)"):
        run_crossval({"tiny": config}, feature_set, other, run, folds=[FOLD])


@pytest.mark.parametrize("damage", [*DAMAGES, lambda path: path.unlink()])
def test_a_damaged_model_is_named(run, features, damage):
    damage(run / "folds" / FOLD / "model.keras")
    for read in (lambda: evaluate_run(run, features), lambda: open_run(run, features)):
        with pytest.raises(SchemaError, match=r"model\.keras: cannot be loaded as a model"):
            read()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_report_names_a_damaged_result(ser, run, tmp_path, damage):
    damage(run / "result.json")
    code, _, err = ser("report", run, "--output", tmp_path / "report", "--results", tmp_path)
    assert code == SchemaError.exit_code
    assert f"{run / 'result.json'}: is " in err
    assert "Remove this file" in err


def test_finished_folds_are_counted(run, protocol):
    notes = []
    note_finished(notes.append, run, protocol.folds)
    note_finished(notes.append, run / "elsewhere", protocol.folds)
    assert notes == ["1 of 4 folds are finished and kept."]
