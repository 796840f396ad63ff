import json

import pytest

from ser_keras.config import load_config
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.report.baselines import TRACKS
from ser_keras.report.results_folder import KINDS, read_results, result_path
from tests.architecture import ROOT
from tests.report.finished_runs import result_of

RESULTS = ROOT / "results"
BASELINE = {
    "dataset": "mine",
    "protocol": {"name": "manifest-loso", "sha256": "5" * 64},
    "pooled": {"ua": 0.5},
    "folds": [],
    "features": {"spec_name": "compare"},
    "kernel": "rbf",
    "track": "blind",
    "choice": {"inner_ua": {"rbf": 0.5}, "kernel": "rbf"},
}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def test_every_committed_result_tells_where_it_comes_from():
    for result in read_results(RESULTS)["cross-validation"].values():
        assert result["command"].startswith(("ser crossval", "ser ensemble"))
        assert len(result["commit"].rstrip("+")) == 40
        assert result["protocol"]["folds_run"] == len(result["folds"])
        assert {"tensorflow", "keras", "librosa"} <= set(result["versions"])
        total = sum(fold["sizes"]["test"] for fold in result["folds"])
        assert sum(map(sum, result["pooled"]["confusion"])) == total


def test_every_committed_result_lies_where_its_command_would_write_it():
    results = read_results(RESULTS)
    missing = {kind for kind in results if not results[kind]}
    assert missing <= {"study", "enrolment", "ablation", "attended"}
    for kind, by_path in results.items():
        for path, result in by_path.items():
            assert path == KINDS[kind].path(RESULTS, result)


def test_every_committed_cross_validation_is_read():
    read = read_results(RESULTS)["cross-validation"]
    folders = ("emodb", "emodb-2s", "nemo", "ravdess")
    assert len(read) > 30
    assert sorted(read) == sorted(
        path for folder in folders for path in (RESULTS / folder).rglob("*.json")
    )


def test_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(ConfigError, match="Run ser crossval"):
        read_results(tmp_path, required=True)
    assert not any(read_results(tmp_path / "missing").values())


def test_a_damaged_result_is_named(tmp_path):
    path = tmp_path / "emodb" / "x.json"
    write(path, {})
    path.write_text("{")
    with pytest.raises(SchemaError, match=r"x\.json: is cut off or damaged"):
        read_results(tmp_path)
    path.write_bytes(b'"\xff"')
    with pytest.raises(SchemaError, match=r"x\.json: is cut off or damaged"):
        read_results(tmp_path)


def test_a_flat_folder_of_an_earlier_version_is_read(tmp_path):
    result = result_of()
    paths = {
        "cross-validation": write(tmp_path / "crossval-mine-manifest-loso-moma.json", result),
        "baseline": write(tmp_path / "baseline-mine-manifest-loso.json", BASELINE),
    }
    write(tmp_path / "calibration-mine-manifest-loso-moma.json", {"folds": {}, "before": {}})
    write(tmp_path / "notes.json", ["none of ours"])
    results = read_results(tmp_path)
    assert {kind: list(by_path) for kind, by_path in results.items()} == {
        kind: [paths[kind]] if kind in paths else [] for kind in KINDS
    }
    assert results["cross-validation"] == {paths["cross-validation"]: result}


@pytest.mark.parametrize("name", ["crossval-mine-manifest-loso-moma.json", "z.json"])
def test_a_result_in_the_tree_replaces_its_copy_from_a_flat_folder(tmp_path, name):
    current = result_of(1)
    path = write(result_path(tmp_path, current), current)
    write(tmp_path / name, result_of(0))
    assert read_results(tmp_path)["cross-validation"] == {path: current}


def test_results_are_sorted_by_data_protocol_and_model(tmp_path):
    for number, (dataset, model) in enumerate([("b", "moma"), ("a", "moma"), ("a", "cnn")]):
        write(tmp_path / f"{number}.json", result_of(dataset=dataset, model=model))
    read = read_results(tmp_path)["cross-validation"].values()
    assert [(r["dataset"], r["model"]) for r in read] == [
        ("a", "cnn"),
        ("a", "moma"),
        ("b", "moma"),
    ]


def test_an_ablation_has_a_file_that_is_named_by_its_change():
    config = load_config("attention_cnn", ["model.options.head=gap"]).to_dict()
    result = {
        "model": "attention_cnn",
        "settings": "paper",
        "recipes": {"attention_cnn": config},
        "dataset": "emodb",
        "protocol": {"name": "emodb-loso"},
    }
    path = result_path(RESULTS, result).relative_to(RESULTS)
    assert path.as_posix() == "emodb/emodb-loso/attention_cnn/paper-head=gap.json"


def test_every_track_and_seed_of_a_recipe_has_a_file_of_its_own(tmp_path):
    recipes = [{"tiny": {"seed": seed}} for seed in range(3)]
    written = [result_of(track=track, recipes=recipe) for track in TRACKS for recipe in recipes]
    for result in written:
        write(result_path(tmp_path, result), result)
    read = read_results(tmp_path)["cross-validation"]
    assert {path.name: result for path, result in read.items()} == dict(
        zip(
            [
                *("ours.json", "ours-seed1.json", "ours-seed2.json"),
                *("ours-adapted.json", "ours-adapted-seed1.json", "ours-adapted-seed2.json"),
            ],
            written,
            strict=True,
        )
    )


@pytest.mark.parametrize("name", ["..", "../..", "a/../../b", "", "."])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    path = result_path(tmp_path, result_of(dataset=name, protocol={"name": name}))
    assert path.resolve().relative_to(tmp_path.resolve()) == path.relative_to(tmp_path)
    assert len(path.relative_to(tmp_path).parts) == 4
