import json

import pytest

from ser_keras import metrics
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.report.runs import (
    AGAIN,
    differences,
    facts_of,
    latex_table,
    open_runs,
    speaker_scores,
)
from tests.architecture import ROOT
from tests.report.finished_runs import CLASSES, result_of, write_run


@pytest.fixture
def compared(tmp_path):
    """Returns a function that compares two results."""

    def compare(one, other):
        paths = [write_run(tmp_path, name, r) for name, r in (("one", one), ("other", other))]
        (found,) = differences(open_runs(paths))
        return found

    return compare


def test_two_runs_on_the_same_speech_are_compared_over_speakers(compared):
    one, other = result_of(0, skill=0.9), result_of(1, skill=0.3)
    found = compared(one, other)
    assert found["ua_difference"] == pytest.approx(one["pooled"]["ua"] - other["pooled"]["ua"])
    low, high = found["interval"]
    assert 0 < low < found["ua_difference"] < high
    assert (found["speakers"], found["utterances"]) == (4, 96)


def test_a_run_does_not_differ_from_itself(compared):
    found = compared(result_of(0), result_of(0))
    assert (found["ua_difference"], found["interval"]) == (0, [0, 0])


@pytest.mark.parametrize(
    ("changes", "why"),
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
def test_other_utterances_are_not_compared(compared, changes, why):
    found = compared(result_of(), result_of(**changes))
    assert why in found["not_compared"]
    assert "ua_difference" not in found


def test_an_older_run_without_speakers_says_how_to_add_them(compared):
    older = result_of()
    del older["by_speaker"]
    assert compared(result_of(), older)["not_compared"] == f"speakers of other {AGAIN}"
    assert speaker_scores(older) == {}


def test_the_scores_of_a_speaker_are_those_of_its_own_utterances():
    counts = [[3, 1, 0], [0, 0, 0], [2, 0, 2]]
    found = speaker_scores(result_of(by_speaker={"x": counts}))["x"]
    assert found["recalls"] == {"angry": 0.75, "happy": None, "sad": 0.5}
    assert (found["ua"], found["utterances"]) == (0.625, 8)


def test_runs_are_named_by_their_folders_and_in_full_where_these_are_equal(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    same = [write_run(tmp_path / name, "run", result_of()) for name in "ab"]
    alone = write_run(tmp_path, "alone", result_of())
    assert [run.name for run in open_runs([*same, alone])] == [*map(str, same), "alone"]
    with pytest.raises(ConfigError, match="given twice"):
        open_runs([alone, alone])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"found no result\.json"):
        open_runs([tmp_path])
    with pytest.raises(ConfigError, match="found no file"):
        open_runs([tmp_path / "gone.json"])
    other = tmp_path / "baseline-x.json"
    other.write_text('{"pooled": {}}')
    with pytest.raises(SchemaError, match="no result of a cross-validation"):
        open_runs([other])


def test_floors_are_those_of_the_data_and_folds(tmp_path):
    run = open_runs([write_run(tmp_path, "run", result_of())])
    (tmp_path / "floors.json").write_text(
        json.dumps({"floors": [{"dataset": "mine", "protocol": "manifest-loso", "ua": 41.5}]})
    )
    svm = {
        "dataset": "mine",
        "protocol": {"sha256": "5" * 64},
        "folds": [{"fold": "speaker-a", "confusion": [[1, 0, 0], [0, 1, 0], [1, 0, 1]]}],
    }
    (tmp_path / "baseline-mine.json").write_text(json.dumps(svm))
    (facts,) = facts_of(run, tmp_path)
    assert (facts["chance"], facts["floor_ua"]) == (1 / len(CLASSES), pytest.approx(0.415))
    assert facts["svm_ua"] == pytest.approx(0.833)
    (without,) = facts_of(run, tmp_path / "none")
    assert (without["floor_ua"], without["svm_ua"]) == (None, None)


def test_every_committed_result_can_be_reported_on():
    paths = sorted((ROOT / "results").glob("crossval-*.json"))
    facts = facts_of(open_runs(paths), ROOT / "results")
    assert len(facts) == len(paths) == latex_table(facts).count(r"\\") - 1
    assert all(fact["data"]["licence"] for fact in facts)


def test_a_latex_row_has_a_cell_for_every_column(tmp_path):
    facts = facts_of(
        open_runs([write_run(tmp_path, "run", result_of(model="alexnet_fcn"))]), tmp_path
    )
    head, row = (line for line in latex_table(facts).splitlines() if line.endswith(r"\\"))
    assert head.count("&") == row.count("&") == 9
    assert row.startswith(r"alexnet\_fcn & mine & manifest-loso & ")
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
