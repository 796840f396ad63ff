import json
from pathlib import Path

import pytest

from ser_keras import metrics
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.report.results_folder import read_results, result_path
from ser_keras.report.runs import (
    NOT_RECORDED,
    baselines_in,
    calibration_path,
    differences,
    facts_of,
    latex_table,
    open_runs,
    speaker_scores,
)
from tests.architecture import ROOT
from tests.report.finished_runs import CLASSES, baseline_result, result_of, write_run


@pytest.fixture
def compared(tmp_path):
    """Returns a function that compares two results."""

    def compare(first, second):
        named = {"first": first, "second": second}
        paths = [write_run(tmp_path, name, result) for name, result in named.items()]
        (difference,) = differences(open_runs(paths))
        return difference

    return compare


def test_two_runs_on_the_same_speech_are_compared_over_speakers(compared):
    better, worse = result_of(0, skill=0.9), result_of(1, skill=0.3)
    difference = compared(better, worse)
    expected = better["pooled"]["ua"] - worse["pooled"]["ua"]
    assert difference["ua_difference"] == pytest.approx(expected)
    low, high = difference["interval"]
    assert 0 < low < difference["ua_difference"] < high
    assert (difference["speakers"], difference["utterances"]) == (4, 96)


def test_a_run_does_not_differ_from_itself(compared):
    difference = compared(result_of(0), result_of(0))
    assert (difference["ua_difference"], difference["interval"]) == (0, [0, 0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "yours"}, "data mine and yours"),
        ({"protocol": {"name": "manifest-split", "sha256": "6"}}, "other folds: manifest-loso and"),
        (
            {"class_set": {"classes": ["sad", "happy", "angry"]}},
            "classes angry, happy, sad and sad",
        ),
        ({"folds": result_of()["folds"][:3]}, "other folds of the protocol were run"),
        ({"by_speaker": result_of(speakers=("a", "b", "c"))["by_speaker"]}, "left out recordings"),
    ],
)
def test_other_utterances_are_not_compared(compared, changes, reason):
    difference = compared(result_of(), result_of(**changes))
    assert reason in difference["not_compared"]
    assert "ua_difference" not in difference


def test_an_older_run_without_speakers_says_how_to_add_them(compared):
    older = result_of()
    del older["by_speaker"]
    assert compared(result_of(), older)["not_compared"] == f"speakers of second {NOT_RECORDED}"
    assert speaker_scores(older) == {}


def test_the_scores_of_a_speaker_are_those_of_its_own_utterances():
    counts = [[3, 1, 0], [0, 0, 0], [2, 0, 2]]
    scores = speaker_scores(result_of(by_speaker={"x": counts}))["x"]
    assert scores["recalls"] == {"angry": 0.75, "happy": None, "sad": 0.5}
    assert (scores["ua"], scores["utterances"]) == (0.625, 8)


def test_runs_are_named_by_their_folders_and_in_full_where_these_are_equal(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    same = [write_run(tmp_path / name, "run", result_of()) for name in "ab"]
    alone = write_run(tmp_path, "alone", result_of())
    assert [run.name for run in open_runs([*same, alone])] == [*map(str, same), "alone"]
    with pytest.raises(ConfigError, match="given twice"):
        open_runs([alone, alone])


def test_a_run_on_both_tracks_is_two_runs_that_are_compared(tmp_path):
    folder = write_run(tmp_path, "run", result_of(1, skill=0.9, track="adapted"))
    blind = result_of(0, skill=0.3, track="blind")
    (folder / "result-blind.json").write_text(json.dumps(blind))
    opened = open_runs([folder])
    assert [(run.name, run.result["track"]) for run in opened] == [
        ("run", "adapted"),
        ("run, blind", "blind"),
    ]
    [difference] = differences(opened)
    assert difference["ua_difference"] == pytest.approx(
        opened[0].result["pooled"]["ua"] - blind["pooled"]["ua"]
    )


def test_a_result_in_a_tree_is_named_by_its_folders(tmp_path):
    path = result_path(tmp_path / "results", result_of())
    for file in (path, flat := tmp_path / "crossval-mine.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result_of()))
    names = [run.name for run in open_runs([path, flat])]
    assert names == ["mine/manifest-loso/moma/ours", "crossval-mine"]


@pytest.mark.parametrize(
    ("result", "calibration"),
    [
        ("run/result.json", "run/calibration.json"),
        ("results/crossval-a.json", "results/calibration-a.json"),
        ("results/a/b/c/ours.json", "results/a/b/c/ours-calibration.json"),
    ],
)
def test_a_calibration_lies_beside_its_result(result, calibration):
    assert calibration_path(Path(result)) == Path(calibration)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"found no result\.json"):
        open_runs([tmp_path])
    with pytest.raises(ConfigError, match="found no file"):
        open_runs([tmp_path / "gone.json"])
    baseline = tmp_path / "baseline-x.json"
    for text in ('{"pooled": {}}', "[]"):
        baseline.write_text(text)
        with pytest.raises(SchemaError, match="no result of a cross-validation"):
            open_runs([baseline])


def test_the_baseline_is_that_of_the_data_folds_and_track(tmp_path):
    blind, adapted = (write_run(tmp_path, t, result_of(track=t)) for t in ("blind", "adapted"))
    svm = baseline_result({name: [[1, 0, 0], [0, 1, 0], [1, 0, 1]] for name in "abcd"})
    (tmp_path / "svm.json").write_text(json.dumps(svm))
    facts, other_track = facts_of(open_runs([blind, adapted]), baselines_in([tmp_path]))
    assert (facts["chance"], facts["track"]) == (1 / len(CLASSES), "blind")
    assert facts["baseline"]["ua"] == pytest.approx(0.833, abs=1e-3)
    assert (other_track["track"], other_track["baseline"]) == ("adapted", None)
    assert facts_of(open_runs([blind]), baselines_in([tmp_path / "none"]))[0]["baseline"] is None


def test_of_a_folder_of_results_only_the_baselines_are_read(tmp_path):
    (tmp_path / "baselines/mine").mkdir(parents=True)
    svm = baseline_result({"a": [[1, 0, 0], [0, 1, 0], [1, 0, 1]]})
    (tmp_path / "baselines/mine/svm.json").write_text(json.dumps(svm))
    (tmp_path / "ours.json").write_text("{")
    assert baselines_in([tmp_path]) == [svm]
    with pytest.raises(SchemaError):
        read_results(tmp_path)


def test_every_committed_result_can_be_reported_on():
    paths = list(read_results(ROOT / "results")["cross-validation"])
    facts = facts_of(open_runs(paths), baselines_in([ROOT / "results"]))
    assert len(facts) == len(paths) == latex_table(facts).count(r"\\") - 1
    assert all(fact["data"]["licence"] for fact in facts)


def test_a_latex_row_has_a_cell_for_every_column(tmp_path):
    facts = facts_of(open_runs([write_run(tmp_path, "run", result_of(model="alexnet_fcn"))]))
    head, row = (line for line in latex_table(facts).splitlines() if line.endswith(r"\\"))
    assert head.count("&") == row.count("&") == 10
    assert row.startswith(r"alexnet\_fcn & mine & manifest-loso & blind & ")
    low, high = (100 * end for end in facts[0]["pooled"]["ua_interval"])
    assert f" & {low:.1f}--{high:.1f} & " in row


def test_counts_by_speaker_add_up_to_the_whole():
    result = result_of()
    total = sum(metrics.recalls_of(result["pooled"]["confusion"]))
    assert total / 3 == pytest.approx(result["pooled"]["ua"])
    summed = [
        [sum(cell) for cell in zip(*rows, strict=True)]
        for rows in zip(*result["by_speaker"].values(), strict=True)
    ]
    assert summed == result["pooled"]["confusion"]
