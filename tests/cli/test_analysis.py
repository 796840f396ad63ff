"""The verbs that look at what was trained, as a user types them."""

import json

import pytest
import yaml

from ser_keras.report.results_folder import result_path
from ser_keras.report.runs import calibration_path, open_runs
from tests.report.finished_runs import baseline_result, result_of, write_run
from tests.small_trainings import tiny_config


def test_report_writes_its_three_files_where_asked(ser, tmp_path):
    pytest.importorskip("matplotlib")
    runs = [write_run(tmp_path, name, result_of(seed)) for seed, name in enumerate("ab")]
    code, out, _ = ser("report", *runs, "--output", tmp_path / "out")
    assert code == 0
    assert "report.html" in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "report.json", "report.tex"}
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["runs"]) == 2


def test_the_page_may_be_named_and_a_baseline_given(ser, tmp_path):
    pytest.importorskip("matplotlib")
    result = result_of(skill=0.9)
    run = write_run(tmp_path, "run", result)
    baseline = tmp_path / "svm.json"
    baseline.write_text(json.dumps(baseline_result(result_of(1, skill=0.3)["by_speaker"])))
    line = ["report", run, "--results", tmp_path / "none", "--output", tmp_path / "mine.html"]
    code, out, _ = ser(*line)
    assert (code, "no baseline" in out.lower(), "baseline: rbf" in out) == (0, False, False)
    code, out, _ = ser(*line, "--baseline", baseline)
    assert (code, "baseline: rbf SVM on" in out) == (0, True)
    assert "openSMILE&#x27;s ComParE functionals" in (tmp_path / "mine.html").read_text()
    assert (
        json.loads((tmp_path / "mine.json").read_text())["runs"][0]["baseline"]["kernel"] == "rbf"
    )
    assert (tmp_path / "mine.tex").is_file()


def test_a_baseline_that_is_none_is_a_sentence(ser, tmp_path):
    run = write_run(tmp_path, "run", result_of())
    code, _, err = ser("report", run, "--baseline", run / "result.json")
    assert (code, "found no result of a baseline" in err) == (5, True)


def test_a_readme_has_no_room_for_single_runs(ser, tmp_path):
    run = write_run(tmp_path, "run", result_of())
    code, _, err = ser("report", run, "--readme", tmp_path / "README.md")
    assert (code, "leave out the runs" in err) == (2, True)
    code, _, err = ser("report", run, "--format", "md")
    assert (code, "--format md: is for the table of all results; leave out RUNS." in err) == (
        2,
        True,
    )


def test_a_folder_without_a_result_is_a_sentence(ser, tmp_path):
    code, _, err = ser("report", tmp_path)
    assert (code, "found no result.json" in err) == (2, True)


def test_one_corpus_is_not_enough_to_cross(ser, features, tmp_path):
    line = ["crosscorpus", "--features", features, "--recipe", "demo", "--output", tmp_path / "o"]
    code, _, err = ser(*line)
    assert (code, "expected two or more datasets" in err) == (2, True)
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_calibration_lies_beside_its_result_and_stands_in_the_report(ser, features, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(tiny_config(select="validation").to_dict()))
    run, results = tmp_path / "run", tmp_path / "results"
    line = ["--features", features, "--protocol", "synthetic-loso", "--recipe", recipe]
    fold = ["--fold", "speaker-s02"]
    assert ser("crossval", *line, *fold, "--output", run, "--results", results)[0] == 0
    code, out, _ = ser("calibrate", run, "--features", features, "--results", results)
    assert code == 0
    assert "speaker-s02: T " in out
    result = json.loads((run / "result.json").read_text())
    kept = calibration_path(result_path(results, result))
    assert json.loads(kept.read_text()) == json.loads((run / "calibration.json").read_text())
    opened = open_runs([run, result_path(results, result)])
    assert opened[0].calibration == opened[1].calibration
    assert "speaker-s02" in opened[0].calibration["folds"]
