from pathlib import Path

import pytest

from ser_keras.config import load_config
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.report import benchmarks as report_benchmarks
from ser_keras.report import results as report

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["results", "searches", "scale", "serving"])
def test_the_readme_shows_what_is_committed(name):
    begin, end = report.markers(name)
    body = report.sections(ROOT / "results")[name]
    assert f"{begin}\n{body}\n{end}" in (ROOT / "README.md").read_text()


def test_a_search_says_over_how_many_speakers_it_was_tested():
    scores = {"ua": 0.5, "ua_interval": [0.4, 0.6], "speakers": 5}
    result = {
        "dataset": "d", "class_set": {"classes": ["a", "b"]}, "protocol": {"name": "p"},
        "folds": ["f"], "model": "m", "trials": [{}, {}], "trial_epochs": 3, "changes": [],
        "test": {"recipe": scores, "best": scores, "difference": [0.0, -0.1, 0.1]},
    }  # fmt: skip
    row = "| d, 2 classes | `p` f | `m` | 2, 3 | 50.0 (40.0 – 60.0) | 50.0 (40.0 – 60.0) | +0.0 "
    assert report.describe_searches([result]).splitlines()[2] == row + "(-10.0 – +10.0) |"
    scores["speakers"] = 1
    row = "| d, 2 classes | `p` f | `m` | 2, 3 | 50.0 | 50.0 | +0.0, one speaker |"
    assert report.describe_searches([result]).splitlines()[2] == row


def test_what_a_large_corpus_needs_follows_from_what_was_measured():
    small = {"corpus": "tenth", "workers": 1, "recordings": 1000, "hours": 1.0}
    large = {"corpus": "all", "workers": 1, "recordings": 11_000, "hours": 11.0}
    text = report_benchmarks.describe_scale(
        {
            "spec": "logmel40",
            "load": [0.5, 2.0],
            "speedup": 1.8,
            "speedup_by_cpu": 1.9,
            "cpu_s_per_hour": [4.0, 3.6],
            "shard_bytes_per_hour": [5e7, 5e7],
            "peak_bytes": [1e8, 1.5e8],
            "worker_peak_bytes": [1e8, 1e8],
            "runs": [small, large],
        }
    )
    assert "two workers did 1.80 times the work" in text
    assert "need 10 core-hours and 500 GB of disk" in text
    assert "5.0 kB for each, which would be 50 GB for all 10.0 million at once" in text


def test_every_committed_result_tells_where_it_comes_from():
    for result in report.load_results(ROOT / "results"):
        assert result["command"].startswith("ser crossval")
        assert len(result["commit"].rstrip("+")) == 40
        assert result["protocol"]["folds_run"] == len(result["folds"])
        assert {"tensorflow", "keras", "librosa"} <= set(result["versions"])
        total = sum(fold["sizes"]["test"] for fold in result["folds"])
        assert sum(map(sum, result["pooled"]["confusion"])) == total


def test_a_readme_is_rewritten_between_its_markers_only(tmp_path):
    readme = tmp_path / "README.md"
    begin, end = report.markers("results")
    readme.write_text(f"before\n{begin}\nstale text\n{end}\nafter\n")
    assert report.write_readme(readme, ROOT / "results")
    text = readme.read_text()
    assert text.startswith(f"before\n{begin}\n| data |")
    assert text.endswith(f"{end}\nafter\n")
    assert "stale text" not in text
    assert not report.write_readme(readme, ROOT / "results")


def test_a_readme_without_markers_is_refused(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(SchemaError, match="found no pair of markers"):
        report.write_readme(readme, ROOT / "results")


def test_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(ConfigError, match="Run ser crossval"):
        report.load_results(tmp_path)


def test_a_damaged_result_is_named(tmp_path):
    (tmp_path / "crossval-x.json").write_text("{")
    with pytest.raises(SchemaError, match=r"crossval-x\.json: not readable"):
        report.load_results(tmp_path)


def test_a_floor_belongs_to_one_dataset_and_protocol():
    floors = report.load_floors(ROOT / "results")
    result = {"dataset": "ravdess", "protocol": {"name": "ravdess-actor5"}}
    assert report.floor_of(floors, result) == "45.2"
    result["protocol"]["name"] = "another"
    assert report.floor_of(floors, result) == ""


def test_a_run_of_fewer_epochs_than_its_recipe_has_says_so():
    result = report.load_results(ROOT / "results")[0]
    assert "epochs |" not in report.table([result])
    result["recipes"] = {"moma": load_config("moma", ["epochs=7"]).to_dict()}
    assert "7 of 60 epochs |" in report.table([result])


def test_every_row_of_the_readme_has_all_epochs_of_its_recipe():
    results = report.load_results(ROOT / "results")
    short = [str(report.result_path(Path(), one)) for one in results if not report.is_complete(one)]
    assert not short
    for search in (report.read_json(path) for path in (ROOT / "results").glob("search-*.json")):
        epochs = [change for change in search["changes"] if change.startswith("epochs=")]
        asked = load_config(search["recipe"]).epochs
        assert all(int(change.partition("=")[2]) >= asked for change in epochs), search["command"]


def test_a_run_is_complete_after_its_epochs_or_by_early_stopping():
    def run(*valid, epochs=60, patience=2):
        config = {"epochs": epochs, "select": "validation", "patience": patience}
        history = [{"valid_ua": ua} for ua in valid]
        return {"recipes": {"moma": config}, "folds": [{"recipe": "moma", "history": history}]}

    assert report.is_complete(run(*[0.5] * 60))
    assert report.is_complete(run(0.1, 0.3, 0.2, 0.3))
    assert not report.is_complete(run(0.1, 0.3, 0.2))
    assert not report.is_complete(run(*[0.5] * 4, epochs=4, patience=9))


def test_every_result_lies_under_its_own_name():
    folder = ROOT / "results"
    paths = sorted(report.result_path(folder, one) for one in report.load_results(folder))
    assert paths == sorted(folder.glob("crossval-*.json"))


def test_an_ablation_is_named_by_what_it_changes():
    config = load_config("attention_cnn", ["model.options.head=gap"]).to_dict()
    result = {"model": "attention_cnn", "settings": "paper", "recipes": {"attention_cnn": config}}
    assert report.variant(result) == ["head=gap"]
    facts = {"dataset": "emodb", "protocol": {"name": "emodb-loso"}}
    path = report.result_path(Path(), result | facts)
    assert path.name == "crossval-emodb-emodb-loso-attention_cnn-paper-head=gap.json"


def test_one_speaker_has_no_interval_and_one_fold_no_deviation():
    results = report.load_results(ROOT / "results")
    for result, row in zip(results, report.table(results).splitlines()[2:], strict=True):
        speakers = {name for fold in result["folds"] for name in fold["test_speakers"]}
        assert ("| one speaker |" in row) == (len(speakers) == 1)
        assert ("| one fold |" in row) == (len(result["folds"]) == 1)
        assert "0.0 – 100.0" not in row


def test_every_result_stands_beside_an_svm_on_the_same_folds():
    baselines = report.load_baselines(ROOT / "results")
    for result in report.load_results(ROOT / "results"):
        assert report.baseline_of(baselines, result)


def test_the_svm_beside_some_folds_is_that_of_these_folds():
    confusions = {"a": [[2, 0], [0, 2]], "b": [[0, 4], [0, 4]], "c": [[0, 9], [9, 0]]}
    baseline = {
        "dataset": "d",
        "protocol": {"sha256": "1"},
        "folds": [{"fold": name, "confusion": found} for name, found in confusions.items()],
    }

    def beside(*folds):
        result = {"dataset": "d", "protocol": {"sha256": "1"}}
        return report.baseline_of([baseline], result | {"folds": [{"fold": f} for f in folds]})

    assert (beside("a"), beside("b"), beside("a", "b")) == ("100.0", "50.0", "66.7")
    assert report.baseline_of([{**baseline, "dataset": "e"}], {**baseline}) == ""
