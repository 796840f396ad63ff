"""The tables of errors against counts made by hand."""

import numpy as np
import pytest

from ser_keras.report.errors_by_class import errors_tables
from tests.report.finished_runs import result_of

CLASSES = ["angry", "happy", "sad"]


def cross_validation(model, by_speaker, track="blind", seed=0, folds=2):
    confusion = np.sum(list(by_speaker.values()), axis=0)
    recalls = np.diag(confusion) / confusion.sum(axis=1)
    result = result_of(speakers=tuple(by_speaker))
    result["protocol"]["folds"], result["protocol"]["folds_run"] = 2, folds
    result["pooled"]["ua"] = float(recalls.mean())
    return result | {
        "model": model,
        "chosen": "",
        "track": track,
        "by_speaker": by_speaker,
        "recipes": {"tiny": {"seed": seed, "epochs": 3, "select": "last"}},
    }


def baseline(track, recalls):
    return {
        "dataset": "mine",
        "protocol": {"sha256": "5" * 64},
        "track": track,
        "features": {"spec_name": "compare"},
        "kernel": "linear",
        "choice": {"inner_ua": {"linear": 0.5}},
        "folds": result_of()["folds"],
        "pooled": {"recalls": dict(zip(CLASSES, recalls, strict=True))},
    }


def results_of(results, baselines=()):
    return {
        "cross-validation": dict(enumerate(results)),
        "baseline": dict(enumerate(baselines)),
    }


GOOD = {"a": [[4, 0, 0], [1, 2, 1], [0, 0, 4]], "b": [[3, 1, 0], [2, 2, 0], [0, 0, 0]]}
BAD = {"a": [[0, 4, 0], [0, 0, 4], [4, 0, 0]], "b": [[0, 4, 0], [0, 0, 4], [0, 0, 0]]}


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_classes_and_speakers_are_those_of_the_best_row():
    results = [cross_validation("good", GOOD), cross_validation("bad", BAD)]
    classes, speakers = errors_tables(
        results_of(results, [baseline("blind", [0.5, 0.25, 1])])
    ).split("\n\n")
    blind = [row[:5] for row in cells(classes)[2:]]
    assert blind == [
        ["mine", "angry", "87.5", "50.0", "happy, 12.5"],
        ["mine", "happy", "50.0", "25.0", "angry, 37.5"],
        ["mine", "sad", "100.0", "100.0", ""],
    ]
    (row,) = cells(speakers)[2:]
    # Speaker b has no sad recording, which counts for nothing.
    assert row[:3] == ["mine", "`good`", "b 62.5, a 83.3"]


def test_seeds_are_counted_together_and_tracks_apart():
    seeds = [cross_validation("good", GOOD, seed=0), cross_validation("good", BAD, seed=1)]
    adapted = cross_validation("other", GOOD, "adapted")
    classes, speakers = errors_tables(results_of([*seeds, adapted])).split("\n\n")
    angry = cells(classes)[2]
    # 7 of 16 with both seeds; 5 of the others are taken for happy, and 4 for happy in the second.
    assert angry == ["mine", "angry", "43.8", "", "happy, 56.2", "87.5", "", "happy, 12.5"]
    assert cells(speakers)[2][3] == "`other`"


@pytest.mark.parametrize(
    "result",
    [
        cross_validation("part", GOOD, folds=1),
        {**cross_validation("old", GOOD), "by_speaker": None},
    ],
    ids=["some folds", "no speakers"],
)
def test_rows_that_are_not_complete_are_left_out(result):
    result = {key: value for key, value in result.items() if value is not None}
    assert errors_tables(results_of([result])) == ""
