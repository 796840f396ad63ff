from ser_keras.config import load_config
from ser_keras.report.results_folder import read_results
from ser_keras.report.tables import (
    baselines_table,
    best_table,
    searches_table,
    studies_table,
    table,
)
from ser_keras.report.variants import is_complete
from tests.architecture import ROOT


def committed():
    return list(read_results(ROOT / "results")["cross-validation"].values())


def test_one_speaker_has_no_interval_and_one_fold_no_deviation():
    results = committed()
    for result, row in zip(results, table(results).splitlines()[2:], strict=True):
        speakers = {name for fold in result["folds"] for name in fold["test_speakers"]}
        assert ("| one speaker |" in row) == (len(speakers) == 1)
        assert ("| one fold |" in row) == (len(result["folds"]) == 1)
        assert "0.0 – 100.0" not in row


def test_a_row_of_fewer_epochs_than_its_recipe_has_says_so():
    result = committed()[0]
    assert "epochs |" not in table([result])
    result["recipes"] = {"moma": load_config("moma", ["epochs=7"]).to_dict()}
    assert "7 of 60 epochs |" in table([result])


def test_the_best_complete_row_of_each_data_and_protocol_stands_beside_its_baseline():
    results = read_results(ROOT / "results")
    best = {}
    for result in filter(is_complete, results["cross-validation"].values()):
        best.setdefault((result["dataset"], result["protocol"]["name"]), []).append(result)
    rows = [line.split(" | ") for line in best_table(results).splitlines()[2:]]
    assert len(rows) == len(best)
    for row, ((dataset, protocol), complete) in zip(rows, best.items(), strict=True):
        assert row[0].startswith(f"| {dataset}, ")
        assert row[1].startswith(f"`{protocol}`")
        assert f"**{100 * max(result['pooled']['ua'] for result in complete):.1f}** (" in row[3]
        assert " – " in row[4]


def test_a_row_with_missing_folds_is_not_the_best(tmp_path):
    [partial] = [r for r in committed() if r["protocol"]["folds_run"] == 1][:1]
    results = {"cross-validation": {tmp_path: partial}, "published": {}, "baseline": {}}
    assert len(best_table(results).splitlines()) == 2
    one_fold = {**partial, "protocol": {**partial["protocol"], "folds": 1}}
    results["cross-validation"] = {tmp_path: one_fold}
    assert len(best_table(results).splitlines()) == 3


def test_baselines_stand_beside_the_published_ones(tmp_path):
    scores = {"ua": 0.5, "ua_interval": [0.4, 0.6], "wa": 0.55}
    measured = {"dataset": "d", "protocol": {"name": "p"}, "pooled": scores}
    published = [{"dataset": "d", "protocol": name, "ua": 51.0, "wa": 52.0} for name in "pq"]
    results = {"baseline": {tmp_path: measured}, "published": {tmp_path: {"floors": published}}}
    assert baselines_table(results).splitlines()[2:] == [
        "| d | `p` | 50.0 (40.0 – 60.0) | 55.0 | 51.0 | 52.0 |",
        "| d | `q` |  |  | 51.0 | 52.0 |",
    ]


def test_a_study_shows_the_score_at_each_value_and_the_best():
    points = [{"value": value, "wa": wa} for value, wa in ((2, 0.5), (8.5, 0.625))]
    line = {"about": "height", "unit": "frames", "points": points, "chosen": 8.5}
    study = {
        "dataset": "d", "class_set": {"classes": ["a", "b"]}, "study": "filter_shapes",
        "criterion": "wa", "lines": [line],
    }  # fmt: skip
    assert studies_table([study]).splitlines()[2:] == [
        "| d, 2 classes | `filter_shapes` | height (frames) | WA | 2: 50.0, 8.5: 62.5 | 8.5 |"
    ]


def test_a_search_says_over_how_many_speakers_it_was_tested():
    scores = {"ua": 0.5, "ua_interval": [0.4, 0.6], "speakers": 5}
    result = {
        "dataset": "d", "class_set": {"classes": ["a", "b"]}, "protocol": {"name": "p"},
        "folds": ["f"], "model": "m", "trials": [{}, {}], "trial_epochs": 3, "changes": [],
        "test": {"recipe": scores, "best": scores, "difference": [0.0, -0.1, 0.1]},
    }  # fmt: skip
    row = "| d, 2 classes | `p` f | `m` | 2, 3 | 50.0 (40.0 – 60.0) | 50.0 (40.0 – 60.0) | +0.0 "
    assert searches_table([result]).splitlines()[2] == row + "(-10.0 – +10.0) |"
    scores["speakers"] = 1
    row = "| d, 2 classes | `p` f | `m` | 2, 3 | 50.0 | 50.0 | +0.0, one speaker |"
    assert searches_table([result]).splitlines()[2] == row
