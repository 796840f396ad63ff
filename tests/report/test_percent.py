"""What stands in the place of an interval over speakers, in every text that shows one."""

import json

import pytest

from ser_keras.report.pages.page import write_report
from ser_keras.report.runs import baselines_in, open_runs
from ser_keras.report.summary import (
    crosscorpus_table,
    describe,
    describe_baseline,
    describe_members,
)
from ser_keras.report.tables import table
from serving.export.model_card import _score_table as scores_of_card
from tests.report.finished_runs import baseline_result, result_of, write_run

SPEAKERS = {1: ("a",), 2: ("a", "b"), 3: ("a", "b", "c")}


def texts(count):
    """Returns what every report says of a run with so many test speakers."""
    result = result_of(speakers=SPEAKERS[count])
    scores = {key: result["pooled"][key] for key in ("ua", "ua_interval", "wa")}
    member = {"name": "m", "model": "moma", "seed": 0, "weight": 1.0, **scores}
    member["ensemble_above"] = [0.0, -1.0, 1.0] if count == 1 else [0.1, 0.0, 0.2]
    ensemble = {**result, "members": [member], "best_member": member, "left_out": [], "note": ""}
    baseline = baseline_result(result["by_speaker"])
    cell = {"train": "x", "test": "y", **result["pooled"]}
    crossed = {"datasets": ["x", "y"], "cells": [cell], "class_set": result["class_set"]}
    card = {"track": "blind", "fold_scores": scores, "pooled": result["pooled"]}
    return {
        "table": table([result], [baseline]),
        "terminal": describe(result),
        "members": describe_members(ensemble),
        "baseline": describe_baseline(baseline),
        "corpora": crosscorpus_table(crossed),
        "card": scores_of_card(card),
    }


@pytest.mark.parametrize("count", SPEAKERS)
def test_no_text_shows_an_interval_of_one_speaker_and_all_say_which_is_of_two(count):
    for name, text in texts(count).items():
        assert "0.0 – 100.0" not in text, name
        assert "0.0 to 100.0" not in text, name
        assert "-100.0" not in text, name
        assert ("range of two" in text) == (count == 2), name


@pytest.mark.parametrize("count", SPEAKERS)
def test_page_json_and_latex_say_the_same(count, tmp_path):
    pytest.importorskip("matplotlib")
    result = result_of(speakers=SPEAKERS[count])
    runs = [
        write_run(tmp_path, "one", result),
        write_run(tmp_path, "two", result_of(1, speakers=SPEAKERS[count])),
    ]
    (tmp_path / "baseline.json").write_text(json.dumps(baseline_result(result["by_speaker"])))
    page, _, latex = write_report(open_runs(runs), tmp_path / "report", baselines_in([tmp_path]))
    for text in (page.read_text(), latex.read_text()):
        assert "0.0 to 100.0" not in text
        assert "-100.0" not in text
        assert ("range of two" in text) == (count == 2)
