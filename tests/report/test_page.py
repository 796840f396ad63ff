import json
import re

import pytest

from ser_keras.report.pages.page import NAMES, write_report
from ser_keras.report.runs import NOT_RECORDED, open_runs
from tests.report.finished_runs import result_of, write_run

pytest.importorskip("matplotlib")

CALIBRATION = {
    "folds": {"speaker-a": {"temperature": 1.5, "fitted_on": "part of b"}},
    "before": {"expected_calibration_error": 0.2, "cross_entropy": 1.0, "reliability": []},
    "after": {"expected_calibration_error": 0.05, "cross_entropy": 0.9, "reliability": []},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    first = write_run(folder, "first", result_of(0, skill=0.9))
    bins = result_of()["reliability"]
    curves = {key: {**CALIBRATION[key], "reliability": bins} for key in ("before", "after")}
    (first / "calibration.json").write_text(json.dumps(CALIBRATION | curves))
    return [first, write_run(folder, "second", result_of(1, skill=0.3))]


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    return write_report(open_runs(runs), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report):
    return report[0].read_text()


def test_the_same_runs_give_the_same_bytes(runs, report, tmp_path):
    again = write_report(open_runs(runs), tmp_path)
    assert [path.name for path in again] == list(NAMES)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in report]


def test_the_page_needs_nothing_else(page):
    addresses = re.findall(r"(?:href|src)\s*=\s*[\"']([^\"']*)|url\(([^)]*)\)", page)
    assert all(link.startswith("#") for pair in addresses for link in pair if link)
    assert "<script" not in page
    assert "@import" not in page


def test_the_page_has_every_part(page):
    parts = "Differences|Confusions|Recall by speaker|Calibration|Learning curves|Audit|Data|Cost"
    for part in parts.split("|"):
        assert f">{part}<" in page
    assert page.count("<svg") == 5
    assert "ser crossval --recipe &#x27;a &amp; b&#x27;" in page
    assert "&lt;two&gt; shared" in page
    assert "678,901 for an utterance of 99 frames" in page


def test_the_comparison_says_by_how_much_and_whether_zero_is_outside(page, report):
    (difference,) = json.loads(report[1].read_text())["differences"]
    low, high = difference["interval"]
    cells = f"{100 * difference['ua_difference']:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}"
    row = "".join(f"<td>{cell}</td>" for cell in (*cells, "4"))
    assert f"{row}<td class='words'>yes</td>" in page


def test_scores_stand_beside_their_intervals_and_chance(page, report):
    fact = json.loads(report[1].read_text())["runs"][0]
    low, high = (100 * end for end in fact["pooled"]["ua_interval"])
    ua = 100 * fact["pooled"]["ua"]
    assert f"<td>{ua:.1f}</td><td>{low:.1f} to {high:.1f}</td>" in page
    assert "<td>33.3</td>" in page


def test_a_calibrated_run_shows_before_and_after(page):
    assert ">as trained</td><td>20.0</td><td>1.000</td>" in page
    assert ">with temperature</td><td>5.0</td><td>0.900</td>" in page
    assert "<td>1.50</td><td class='words'>part of b</td>" in page


def test_a_run_of_an_older_version_says_what_is_missing(tmp_path):
    older = {k: v for k, v in result_of().items() if k not in ("by_speaker", "reliability")}
    run = write_run(tmp_path, "older", older)
    page = write_report(open_runs([run]), tmp_path / "report")[0].read_text()
    assert page.count(NOT_RECORDED) == 2
    assert "Differences" not in page
