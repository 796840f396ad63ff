import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml

from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.experiments.crossval import run_crossval
from ser_keras.experiments.evaluate import evaluate_run
from ser_keras.training.checkpoint import Checkpoint, arrays_of, check_identity
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.history import RESUMED
from ser_keras.training.trainer import FoldTrainer
from tests.small_trainings import tiny_config


def train(config, feature_set, protocol, folder, fold=0, progress=None):
    return FoldTrainer(
        config, feature_set, protocol.class_set, protocol.folds[fold], folder, progress
    ).run()


@pytest.fixture(scope="module")
def finished(feature_set, protocol, tmp_path_factory):
    """(folder, record) of a run of TINY that nobody killed."""
    folder = tmp_path_factory.mktemp("run")
    return folder, train(tiny_config(), feature_set, protocol, folder)


@pytest.fixture
def undisturbed(finished):
    """The record of that run."""
    return finished[1]


class Killed(Exception):
    """Stands for the end of the process between two epochs."""


@pytest.mark.slow
def test_the_same_seed_gives_equal_weights(tiny, feature_set, protocol, tmp_path, undisturbed):
    assert (
        train(tiny(), feature_set, protocol, tmp_path)["weights_sha256"]
        == (undisturbed["weights_sha256"])
    )


@pytest.mark.slow
def test_another_seed_gives_other_weights(tiny, feature_set, protocol, tmp_path, undisturbed):
    other = train(tiny(seed=1, epochs=1), feature_set, protocol, tmp_path)
    assert other["weights_sha256"] != undisturbed["weights_sha256"]


def test_a_run_stopped_after_each_epoch_ends_with_equal_weights(
    tiny, feature_set, protocol, tmp_path, undisturbed
):
    shown = []

    def stop(epoch, epochs, logs):
        shown.append((epoch, RESUMED in logs))
        if RESUMED not in logs:
            raise Killed

    for _ in range(tiny().epochs):
        with pytest.raises(Killed):
            train(tiny(), feature_set, protocol, tmp_path, progress=stop)
    _, _, facts = Checkpoint(tmp_path / "checkpoint").load()
    record = train(tiny(), feature_set, protocol, tmp_path, progress=stop)
    assert shown == [(1, False), (1, True), (2, False), (2, True)]
    assert not any(RESUMED in logs for logs in record["history"])
    assert all(record[name] > facts["cost"][name] > 0 for name in ("cpu_seconds", "train_seconds"))
    assert record["weights_sha256"] == undisturbed["weights_sha256"]
    without_time = [{k: v for k, v in logs.items() if k != "seconds"} for logs in record["history"]]
    expected = [
        {k: v for k, v in logs.items() if k != "seconds"} for logs in undisturbed["history"]
    ]
    assert without_time == expected


@pytest.mark.slow
def test_the_average_of_the_weights_is_what_is_kept_and_survives_a_stop(
    tiny, feature_set, protocol, tmp_path
):
    optimizer = {"name": "adamw", "learning_rate": 1e-3, "ema": 0.9}
    config = tiny(optimizer=optimizer, epochs=2, select="last")
    whole = train(config, feature_set, protocol, tmp_path / "whole")

    def stop(epoch, epochs, logs):
        raise Killed

    with pytest.raises(Killed):
        train(config, feature_set, protocol, tmp_path / "stopped", progress=stop)
    resumed = train(config, feature_set, protocol, tmp_path / "stopped")
    assert resumed["weights_sha256"] == whole["weights_sha256"]
    plain = tiny(optimizer=optimizer | {"ema": 0.0}, epochs=2, select="last")
    latest = train(plain, feature_set, protocol, tmp_path / "plain")
    assert latest["weights_sha256"] != whole["weights_sha256"]
    assert latest["history"][0]["loss"] == whole["history"][0]["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 0.7])
def test_kill_9_during_training_and_a_rerun_end_with_equal_weights(
    tiny, features, feature_set, protocol, tmp_path, undisturbed, delay_s
):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(tiny().to_dict()))
    output = tmp_path / "run"
    fold = protocol.folds[0].name
    line = [sys.executable, "-m", "ser_keras", "train", "--features", features]
    line += ["--protocol", "synthetic-loso", "--fold", fold, "--recipe", recipe, "--output", output]
    process = subprocess.Popen(
        list(map(str, line)), stdout=subprocess.DEVNULL, start_new_session=True
    )
    state = output / "folds" / fold / "checkpoint" / "state.npz"
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(list(map(str, line)), check=True, stdout=subprocess.DEVNULL)
    record = json.loads((output / "folds" / fold / "fold.json").read_text())
    assert record["weights_sha256"] == undisturbed["weights_sha256"]


def test_a_finished_fold_is_not_trained_again(tiny, feature_set, protocol, finished):
    folder, first = finished
    seen = []
    again = train(tiny(), feature_set, protocol, folder, progress=lambda *a: seen.append(a))
    assert again == first
    assert seen == []


def test_another_configuration_does_not_take_over_a_folder(tiny, feature_set, protocol, finished):
    optimizer = {"name": "adamw", "learning_rate": 0.5}
    with pytest.raises(SchemaError) as refused:
        train(tiny(epochs=9, optimizer=optimizer), feature_set, protocol, finished[0])
    assert "epochs: 2 there, 9 asked" in str(refused.value)
    assert "optimizer.learning_rate: 0.001 there, 0.5 asked" in str(refused.value)
    assert "recipe" not in str(refused.value)


def test_a_checkpoint_of_another_configuration_is_told_by_its_values(
    tiny, feature_set, protocol, tmp_path
):
    def stop(epoch, epochs, logs):
        raise Killed

    with pytest.raises(Killed):
        train(tiny(), feature_set, protocol, tmp_path, progress=stop)
    with pytest.raises(SchemaError, match=r"state\.npz: made with .*\(seed: 0 there, 3 asked\)"):
        train(tiny(seed=3), feature_set, protocol, tmp_path)


def test_a_checkpoint_that_noted_no_configuration_is_told_by_hashes(tmp_path):
    stored = {"recipe": "a" * 64, "fold": "c" * 64}
    asked = stored | {"recipe": "b" * 64}
    with pytest.raises(SchemaError, match="recipe: aaaaaaaaaaaa there, bbbbbbbbbbbb asked"):
        check_identity(tmp_path, {"identity": stored}, asked, tiny_config().to_dict())


def test_the_kept_epoch_is_the_best_on_validation_speakers(undisturbed):
    values = [logs["valid_ua"] for logs in undisturbed["history"]]
    assert undisturbed["epoch"] == 1 + values.index(max(values))
    assert undisturbed["epoch_chosen_by"] == "validation"


def test_fixed_epochs_train_on_the_validation_part_too(tiny, feature_set, protocol, tmp_path):
    record = train(tiny(select="last", epochs=1), feature_set, protocol, tmp_path)
    fold = protocol.folds[0]
    assert record["sizes"] == {
        "train": len(fold.train) + len(fold.valid),
        "labelled": len(fold.train) + len(fold.valid),
        "unlabelled": 0,
        "joint": 0,
        "valid": 0,
        "test": len(fold.test),
        "dropped": 0,
        "dropped_unlabelled": 0,
    }


def test_statistics_come_from_the_training_part_alone(
    tiny, feature_set, protocol, tmp_path, finished
):
    import keras

    model = keras.models.load_model(finished[0] / "model.keras")
    trainer = FoldTrainer(
        tiny(), feature_set, protocol.class_set, protocol.folds[0], tmp_path / "again"
    )
    frames = np.concatenate(list(trainer.parts.part(protocol.folds[0].train).frames()))
    offset, scale = arrays_of(model.get_layer("normalizer").weights)
    np.testing.assert_allclose(offset, frames.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(scale, 1 / frames.std(axis=0), rtol=1e-3)


def test_a_fold_with_a_test_utterance_in_training_is_refused(tiny, feature_set, protocol, tmp_path):
    fold = protocol.folds[0]
    leaky = replace(fold, train=(*fold.train, fold.test[0]))
    with pytest.raises(LeakageError):
        FoldTrainer(tiny(), feature_set, protocol.class_set, leaky, tmp_path).run()


@pytest.mark.slow
def test_crossval_pools_every_test_utterance_once(tiny, features, feature_set, protocol, tmp_path):
    result = run_crossval({"tiny": tiny(epochs=1)}, feature_set, protocol, tmp_path)
    confusion = np.array(result["pooled"]["confusion"])
    assert confusion.sum() == len(feature_set.rows)
    assert result["protocol"]["folds_run"] == result["protocol"]["folds"] == len(protocol.folds)
    fold = protocol.folds[1]
    again = evaluate_run(tmp_path, features, fold=fold.name)
    assert again["ua"] == pytest.approx(result["folds"][1]["ua"])
    whole = evaluate_run(tmp_path, features, fold=fold.name, whole=True)
    assert np.sum(whole["confusion"]) == len(feature_set.rows)
    with pytest.raises(ConfigError, match="say which with --fold"):
        evaluate_run(tmp_path, features)


@pytest.mark.slow
def test_validation_speakers_choose_between_recipes(tiny, feature_set, protocol, tmp_path):
    recipes = {
        "idle": tiny(select="last", epochs=1, optimizer={"learning_rate": 1e-12}),
        "learns": tiny(select="last", epochs=3),
    }
    fold = protocol.folds[0]
    result = run_crossval(recipes, feature_set, protocol, tmp_path, folds=[fold.name])
    (record,) = result["folds"]
    ua_of = record["validation_ua"]
    assert ua_of.keys() == recipes.keys()
    assert ua_of[record["recipe"]] == max(ua_of.values())
    assert record["sizes"]["train"] == len(fold.train) + len(fold.valid)
    for name in recipes:
        folder = tmp_path / "folds" / fold.name / "choice" / name
        inner = json.loads((folder / "fold.json").read_text())
        assert inner["sizes"]["train"] == len(fold.train)
        with np.load(folder / "scores.npz") as scores:
            assert set(scores["keys"]) == set(fold.valid)
    validating = {"a": tiny(), "b": tiny(select="last")}
    with pytest.raises(ConfigError, match="which here chooses the recipe"):
        run_crossval(validating, feature_set, protocol, tmp_path / "greedy")


def test_hidden_labels_are_unlabelled_utterances_or_left_out(tiny, feature_set, protocol):
    fold = protocol.folds[0]

    def parts(**unlabelled):
        config = tiny(
            model={"name": "sparse_autoencoder"}, unlabelled={"label_fraction": 0.5} | unlabelled
        )
        return FoldParts(config, feature_set, protocol.class_set, fold)

    used, left_out = parts(), parts(use=False)
    assert used.hidden == left_out.hidden
    assert set(used.train_keys) == set(fold.train)
    assert set(left_out.train_keys) == set(fold.train) - left_out.hidden
    labels = [used.class_of[key] for key in fold.train]
    kept = [used.class_of[key] for key in left_out.train_keys]
    for index in set(labels):
        assert kept.count(index) == round(labels.count(index) / 2)


def test_features_of_another_spec_are_refused(tiny, feature_set, protocol, tmp_path):
    with pytest.raises(ConfigError, match="the recipe expects 'logmel40'"):
        run_crossval({"tiny": tiny(spec="logmel40")}, feature_set, protocol, tmp_path)


def test_bfloat16_trains(tiny, feature_set, protocol, tmp_path):
    record = train(tiny(precision="mixed_bfloat16", epochs=1), feature_set, protocol, tmp_path)
    assert np.isfinite(record["history"][0]["loss"])
