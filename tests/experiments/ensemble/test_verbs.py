"""An ensemble from the command line, and the verbs that read it."""

import pytest

from ser_keras.errors import ConfigError
from ser_keras.report.results_folder import read_results
from ser_keras.report.variants import is_complete, settings_in_words
from tests.small_runs import FOLDS

pytestmark = pytest.mark.slow


def features(pool):
    return [word for given in pool.sets for word in ("--features", given.path)]


def test_an_ensemble_is_made_scored_again_and_reported(ser, pool, tmp_path, read):
    output, results = tmp_path / "ensemble", tmp_path / "results"
    code, out, error = ser(
        *("ensemble", *pool.runs, *features(pool), "--output", output),
        *("--weights", "2,1,1", "--results", results),
    )
    assert code == 0, error
    assert "ensemble of 3 runs: fold 2 of 2" in out
    assert "Best single member on the same test parts: " in out
    assert "Not in this mean: moma, which has no adapted track" in out
    for name in ("cnn-0", "cnn-1", "moma"):
        assert f" {name} " in out
    result = read(output / "result.json")
    assert [member["weight"] for member in result["members"]] == [0.5, 0.25]

    summary = tmp_path / "scores.json"
    arguments = ("--fold", FOLDS[0], "--output", summary)
    code, _, error = ser("evaluate", output, *features(pool), *arguments)
    assert code == 0, error
    assert read(summary)["ua"] == pytest.approx(result["folds"][0]["ua"])

    code, _, error = ser("report", output, pool.runs[0], "--output", tmp_path / "report")
    assert code == 0, error
    runs = {(fact["run"], fact["track"]) for fact in read(tmp_path / "report/report.json")["runs"]}
    assert {track for run, track in runs if "ensemble" in run} == {"adapted", "blind"}

    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Best single member on the same test parts: " in page

    code, out, error = ser("report", "--results", results, "--format", "md")
    assert code == 0, error
    assert "| `ensemble` | ours, mean of 2 attention_cnn; best member `cnn-" in out
    assert "| `ensemble` | ours, mean of 2 attention_cnn, 1 moma; best member `" in out
    # The epoch of the blind member alone was chosen on its validation part.
    assert out.count("fixed in advance") == 1
    stored = list(read_results(results)["cross-validation"].values())
    assert {settings_in_words(row) for row in stored} == {
        "ours, mean of 2 attention_cnn",
        "ours, mean of 2 attention_cnn, 1 moma",
    }
    # Two of four folds.
    assert not any(map(is_complete, stored))


def test_a_run_that_is_no_ensemble_takes_one_set_of_features(ser, pool):
    arguments = ("--fold", FOLDS[0])
    for verb in ("evaluate", "calibrate"):
        code, _, error = ser(verb, pool.runs[0], *features(pool), *arguments)
        assert code == ConfigError.exit_code
        assert "found 2 folders, expected one, since" in error


def test_weights_that_are_no_numbers_are_a_sentence(ser, pool, tmp_path):
    code, _, error = ser(
        "ensemble", *pool.runs, *features(pool), "--output", tmp_path / "x", "--weights", "2:1"
    )
    assert code == ConfigError.exit_code
    assert "expected one number for each run, with commas between them" in error
