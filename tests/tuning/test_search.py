import json
from dataclasses import replace

import numpy as np
import pytest

from ser_keras.config import load_config
from ser_keras.errors import ConfigError, LeakageError, SchemaError
from ser_keras.training.trainer import FoldTrainer
from tuning.search import Search, default_folds, run_search
from tuning.space import Setting, Space
from tuning.trial import COMPLETED, PRUNED, finished_records, run_trial, trial_config

RATE = Setting("optimizer.learning_rate", "why not", low=1e-5, high=1e-2, log=True)
DROPOUT = Setting("model.options.dropout", "why not", values=(0.0, 0.5))


def search_of(recipe, protocol, judging=1, **changes):
    asked = Search(Space(recipe, (RATE, DROPOUT)), "random", 2, default_folds(protocol, judging))
    return replace(asked, **changes)


@pytest.mark.slow
def test_best_trial_is_a_recipe_and_no_test_part_was_scored(
    recipe, feature_set, protocol, tmp_path
):
    result = run_search(search_of(recipe, protocol), feature_set, protocol, tmp_path, command="c")
    assert [record["status"] for record in result["trials"]] == [COMPLETED] * 2
    best = max(result["trials"], key=lambda record: record["ua"])
    assert result["best"] == best["trial"]
    own = load_config(recipe)
    assert result["trials"][0]["values"] == {
        "optimizer.learning_rate": own.optimizer.learning_rate,
        "model.options.dropout": own.model.options.get("dropout", 0.0),
    }
    config = load_config(tmp_path / "best.yaml")
    assert config.select == "last"
    assert config.optimizer.learning_rate == best["values"]["optimizer.learning_rate"]
    fold = protocol.folds[0]
    for record in result["trials"]:
        assert len(record["folds"][0]["history"]) == 1
        scores = np.load(tmp_path / "trials" / record["trial"] / fold.name / "scores.npz")
        assert set(scores["keys"]) == set(fold.valid)
    assert json.loads((tmp_path / "search.json").read_text()) == result


class Killed(BaseException):
    """What stops the process."""


@pytest.mark.slow
def test_a_killed_search_goes_on_and_ends_like_an_undisturbed_one(
    recipe, feature_set, protocol, tmp_path
):
    asked = search_of(recipe, protocol, trials=3, strategy="bayesian")
    whole = run_search(asked, feature_set, protocol, tmp_path / "whole")
    calls = []

    def kill(*progress):
        calls.append(progress)
        if len(calls) == 2:  # in the second trial
            raise Killed

    with pytest.raises(Killed):
        run_search(asked, feature_set, protocol, tmp_path / "killed", progress=kill)
    first = tmp_path / "killed" / "trials" / calls[0][0].rpartition(" ")[2] / "record.json"
    before = first.stat().st_mtime_ns
    again = run_search(asked, feature_set, protocol, tmp_path / "killed")
    assert first.stat().st_mtime_ns == before
    values = [
        sorted((trial["ua"], str(trial["values"])) for trial in result["trials"])
        for result in (whole, again)
    ]
    assert values[0] == values[1]
    assert len(again["trials"]) == 3


def test_a_planted_leak_stops_the_search(recipe, feature_set, protocol, tmp_path):
    first, *others = protocol.folds
    leaking = replace(first, valid=first.valid + first.test[:1], test=first.test[1:])
    planted = replace(protocol, folds=(leaking, *others))
    with pytest.raises(LeakageError):
        run_search(search_of(recipe, planted), feature_set, planted, tmp_path)
    assert not (tmp_path / "trials").exists()


@pytest.mark.slow
def test_a_trial_below_the_median_is_not_trained_on_the_other_folds(
    recipe, feature_set, protocol, tmp_path
):
    for number in range(4):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        folds = [{"ua": 1.01}, {"ua": 1.01}]
        (folder / "record.json").write_text(json.dumps({"folds": folds}))
    config = trial_config(recipe, {}, ())
    record = run_trial(config, {}, feature_set, protocol, protocol.folds[:2], tmp_path / "new")
    assert record["status"] == PRUNED
    assert [one["fold"] for one in record["folds"]] == [protocol.folds[0].name]
    assert len(finished_records(tmp_path)) == 5


@pytest.mark.slow
def test_hyperband_gives_some_trials_fewer_epochs_and_ends(recipe, feature_set, protocol, tmp_path):
    asked = search_of(recipe, protocol, strategy="hyperband", trials=3, changes=("epochs=3",))
    result = run_search(asked, feature_set, protocol, tmp_path)
    assert len(result["trials"]) == 3
    for record in result["trials"]:
        assert record["epochs"] == len(record["folds"][0]["history"])
    assert min(record["epochs"] for record in result["trials"]) < 3


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"strategy": "beyesian"}, ConfigError, "did you mean 'bayesian'"),
        ({"trials": 0}, ConfigError, "trials=0; expected 1 or more"),
        ({"folds": ("speaker-9",)}, ConfigError, "fold of synthetic-loso"),
        ({"changes": ("spec=mfcc40",)}, ConfigError, "holds features 'spectrogram200'"),
    ],
)
def test_searches_without_meaning_are_refused(
    changes, error, message, recipe, feature_set, protocol, tmp_path
):
    with pytest.raises(error, match=message):
        run_search(search_of(recipe, protocol, **changes), feature_set, protocol, tmp_path)


def test_a_folder_of_another_search_is_refused(recipe, feature_set, protocol, tmp_path):
    (tmp_path / "asked.json").write_text(json.dumps({"strategy": "random", "trials": 9}))
    with pytest.raises(SchemaError, match=r"other settings .*trials: 9 there, 2 asked"):
        run_search(search_of(recipe, protocol), feature_set, protocol, tmp_path)


@pytest.mark.slow
def test_a_trial_trains_as_a_fold_without_its_test_part_does(
    recipe, feature_set, protocol, tmp_path
):
    config = trial_config(recipe, {"model.options.dropout": 0.5}, ())
    fold = protocol.folds[0]
    record = run_trial(config, {}, feature_set, protocol, [fold], tmp_path / "trials" / "a")
    inner = replace(fold, valid=(), test=fold.valid)
    trainer = FoldTrainer(config, feature_set, protocol.class_set, inner, tmp_path / "alone")
    assert record["ua"] == trainer.run()["ua"]
