"""A search of which a full disk has emptied, cut or lost files."""

import json
import shutil
from dataclasses import replace

import pytest

from ser_keras.errors import SchemaError
from ser_keras.experiments.searched_folds import searched_folds
from tests.tuning.test_search import search_of
from tuning.search import run_search
from tuning.search_folder import remove_damaged
from tuning.trial import finished_records

TRIALS = 3


class Killed(BaseException):
    """What stops the process."""


@pytest.fixture(scope="module")
def searches(recipe, feature_set, protocol, tmp_path_factory):
    """(what is asked, an undisturbed search, one that was stopped in its third trial)."""
    root = tmp_path_factory.mktemp("searches")
    asked = search_of(recipe, protocol, trials=TRIALS)
    run_search(asked, feature_set, protocol, root / "whole")

    def kill(title, *progress):
        if title.endswith("trial 2"):
            raise Killed

    with pytest.raises(Killed):
        run_search(asked, feature_set, protocol, root / "stopped", progress=kill)
    assert len(finished_records(root / "stopped" / "trials")) == TRIALS - 1
    return asked, root / "whole", root / "stopped"


def trials_of(output):
    return {
        record["trial"]: (record["values"], record["ua"]) for record in finished_records(output)
    }


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def lost(path):
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("oracle.json", emptied),
        ("oracle.json", cut),
        ("oracle.json", lost),
        ("trial_1/trial.json", emptied),
        ("trial_2/trial.json", cut),
        ("tuner0.json", emptied),
    ],
)
def test_files_of_the_oracle_are_made_again_from_the_records(
    searches, feature_set, protocol, tmp_path, name, damage
):
    asked, whole, stopped = searches
    output, notes = tmp_path / "search", []
    shutil.copytree(stopped, output)
    damage(output / "oracle" / name)
    times = {path: path.stat().st_mtime_ns for path in output.glob("trials/*/record.json")}
    run_search(asked, feature_set, protocol, output, note=notes.append)
    assert notes[0].startswith(f"{output / 'oracle' / name} is damaged or missing")
    assert notes[1] == "2 of 3 trials are finished; going on with the others."
    assert trials_of(output / "trials") == trials_of(whole / "trials")
    assert all(path.stat().st_mtime_ns == before for path, before in times.items())
    assert json.loads((output / "oracle" / "oracle.json").read_text())["end_order"] == [
        *("0", "1", "2")
    ]


@pytest.mark.slow
def test_a_search_whose_files_are_whole_is_left_alone(searches):
    *_, stopped = searches
    before = {path: path.read_bytes() for path in stopped.rglob("*.json")}
    assert remove_damaged(stopped) is None
    assert {path: path.read_bytes() for path in stopped.rglob("*.json")} == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["asked.json", "trials/0/record.json"])
def test_other_files_are_named_with_what_to_do(searches, feature_set, protocol, tmp_path, name):
    asked, whole, stopped = searches
    output = tmp_path / "search"
    shutil.copytree(stopped, output)
    emptied(output / name)
    with pytest.raises(SchemaError, match=rf"{name}: is empty, expected .* Remove this file"):
        run_search(asked, feature_set, protocol, output)
    # What the sentence advises leads on.
    lost(output / name)
    run_search(asked, feature_set, protocol, output)
    assert trials_of(output / "trials") == trials_of(whole / "trials")


@pytest.mark.slow
def test_hyperband_refuses_a_record_that_it_would_not_draw(recipe, feature_set, protocol, tmp_path):
    asked = search_of(recipe, protocol, strategy="hyperband", trials=1, changes=("epochs=3",))
    run_search(asked, feature_set, protocol, tmp_path)
    path = tmp_path / "trials" / "0" / "record.json"
    record = json.loads(path.read_text())
    record["values"]["optimizer.learning_rate"] = 0.123
    path.write_text(json.dumps(record))
    emptied(tmp_path / "oracle" / "oracle.json")
    with pytest.raises(SchemaError, match=r"trial 0 is recorded with .*0\.123.* Choose another"):
        run_search(asked, feature_set, protocol, tmp_path)


def test_the_result_of_a_search_that_was_emptied_is_named(tmp_path):
    (tmp_path / "best.yaml").write_text("spec: logmel23\n")
    (tmp_path / "search.json").touch()
    with pytest.raises(SchemaError, match=r"search\.json: is empty.*Remove this file"):
        searched_folds(tmp_path / "best.yaml")


def test_another_search_is_told_from_the_same(recipe, feature_set, protocol, tmp_path):
    asked = search_of(recipe, protocol)
    (tmp_path / "asked.json").write_text("[]")
    with pytest.raises(
        SchemaError, match=r"holds a search with other settings \(recipe: not there, "
    ):
        run_search(replace(asked, seed=1), feature_set, protocol, tmp_path)


@pytest.mark.parametrize("tuner", ["tuner0.json", "chief.json"])
def test_files_of_a_search_without_the_state_of_its_oracle_are_removed(tmp_path, tuner):
    oracle = tmp_path / "oracle"
    oracle.mkdir()
    assert remove_damaged(tmp_path) is None
    (oracle / tuner).write_text("{}")
    assert remove_damaged(tmp_path) == oracle / "oracle.json"
    assert list(tmp_path.iterdir()) == []


def test_trials_that_have_ended_for_keras_tuner_alone_are_run_again(tmp_path):
    trial = tmp_path / "oracle" / "trial_07" / "trial.json"
    record = tmp_path / "trials" / "07" / "record.json"
    for path in (trial, record):
        path.parent.mkdir(parents=True)
    (tmp_path / "oracle" / "oracle.json").write_text("{}")
    trial.write_text(json.dumps({"trial_id": "07", "status": "RUNNING"}))
    assert remove_damaged(tmp_path) is None
    trial.write_text(json.dumps({"trial_id": "07", "status": "COMPLETED"}))
    record.write_text("{}")
    assert remove_damaged(tmp_path) is None
    record.unlink()
    assert remove_damaged(tmp_path) == record
    assert not trial.exists()
