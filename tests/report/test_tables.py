import numpy as np

from ser_keras.config import load_config
from ser_keras.report.results_folder import read_results
from ser_keras.report.seeds import rows_of
from ser_keras.report.tables import (
    baselines_table,
    best_table,
    searches_table,
    studies_table,
    table,
)
from ser_keras.report.variants import is_complete
from tests.architecture import ROOT
from tests.report.finished_runs import baseline_result, result_of


def committed():
    return list(read_results(ROOT / "results")["cross-validation"].values())


def test_one_speaker_has_no_interval():
    results = committed()
    rows = [row.first for row in rows_of(results)]
    for result, row in zip(rows, table(results).splitlines()[2:], strict=True):
        speakers = {name for fold in result["folds"] for name in fold["test_speakers"]}
        ends = row.strip("| ").split(" | ")[7]
        assert (ends == "–") == (len(speakers) == 1)
        assert ends.endswith(", range of two") == (len(speakers) == 2)
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
        key = (result["dataset"], result["protocol"]["name"], result.get("track", "blind"))
        best.setdefault(key, []).append(result)
    rows = [line.split(" | ") for line in best_table(results).splitlines()[2:]]
    assert len(rows) == len(best)
    for row, ((dataset, protocol, track), complete) in zip(rows, best.items(), strict=True):
        assert row[0].startswith(f"| {dataset}, ")
        assert row[1].startswith(f"`{protocol}`")
        assert row[2] == track
        best_ua = max(row.ua for row in rows_of(complete))
        assert f"**{100 * best_ua:.1f}** (" in row[4]
        assert " – " in row[5]


def test_a_row_with_missing_folds_is_not_the_best(tmp_path):
    [partial] = [r for r in committed() if r["protocol"]["folds_run"] == 1][:1]
    results = {"cross-validation": {tmp_path: partial}, "baseline": {}}
    assert len(best_table(results).splitlines()) == 2
    one_fold = {**partial, "protocol": {**partial["protocol"], "folds": 1}}
    results["cross-validation"] = {tmp_path: one_fold}
    assert len(best_table(results).splitlines()) == 3


def test_machines_of_all_kernels_are_listed_and_the_baseline_of_each_track_is_bold(tmp_path):
    good = {"a": [[3, 1], [0, 4]], "b": [[4, 0], [1, 3]]}
    poor = {name: [[2, 2], [2, 2]] for name in good}
    rows = [
        baseline_result(good, "linear", inner_ua=0.5),
        # Worse on test speakers, better on those that choose.
        baseline_result(poor, "rbf", inner_ua=0.625),
        baseline_result(good, "linear", track="adapted", inner_ua=0.75),
        baseline_result(good, "linear", features="egemaps", inner_ua=0.9),
    ]
    results = {"baseline": {tmp_path / str(number): row for number, row in enumerate(rows)}}
    first = "| mine, 2 classes | `manifest-loso` |"
    good_ua, poor_ua = (f"{ua} ({ua} – {ua}, range of two)" for ua in (87.5, 50.0))
    assert baselines_table(results).splitlines()[2:] == [
        f"{first} compare | linear | 50.0 | {good_ua} | 75.0 | **{good_ua}** |",
        f"{first} compare | rbf | 62.5 | **{poor_ua}** |  |  |",
        f"{first} egemaps | linear | 90.0 | {good_ua} |  |  |",
    ]


def test_a_row_of_the_adapted_track_stands_beside_an_adapted_baseline():
    counts = {name: np.diag([24, 0, 0]) + np.eye(3, dtype=int) for name in "abcd"}
    perfect = {name: rows.tolist() for name, rows in counts.items()}
    wrong = {name: rows[::-1].tolist() for name, rows in counts.items()}
    adapted = result_of(track="adapted", by_speaker=perfect, chosen=False)
    for speaker in adapted["folds"]:
        speaker["test_speakers"] = [speaker["fold"].removeprefix("speaker-")]
    machines = [baseline_result(wrong), baseline_result(perfect, track="adapted")]
    cells = table([adapted], machines).splitlines()[2].split(" | ")
    assert cells[4] == "adapted"
    assert cells[9:11] == ["100.0", "+0.0 (+0.0 – +0.0)"]
    assert table([adapted], machines[:1]).splitlines()[2].split(" | ")[9:11] == ["", ""]


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
    row = "| d, 2 classes | `p` f | `m` | 2, 3 | 50.0 (–) | 50.0 (–) | +0.0 (–) |"
    assert searches_table([result]).splitlines()[2] == row
