import json
import re

import pytest

from ser_keras.report.pages.page import NAMES, write_report
from ser_keras.report.pages.plain import in_plain_words
from ser_keras.report.runs import NOT_RECORDED, open_runs
from tests.report.finished_runs import baseline_result, result_of, write_run

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
    assert page.count("<svg") == 6
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


def test_the_summary_comes_first_and_says_what_was_measured_how_good_and_against_what(tmp_path):
    result = result_of(0, skill=0.9)
    baseline = baseline_result(result_of(1, skill=0.4)["by_speaker"])
    runs = open_runs([write_run(tmp_path, "mine", result)])
    page = write_report(runs, tmp_path / "report.html", [baseline])[0].read_text()
    summary, _, rest = page.partition("<h2>Scores</h2>")
    assert "moma names the emotion (angry, happy, sad) in 96 recordings of mine" in summary
    ua = 100 * result["pooled"]["ua"]
    assert f"It recognises {ua:.1f} % of an emotion&#x27;s recordings" in summary
    assert "Guessing recognises 33.3 %." in summary
    other = 100 * baseline["pooled"]["ua"]
    assert f"openSMILE&#x27;s ComParE functionals, recognises {other:.1f} %" in summary
    assert "points: moma is better." in summary
    assert summary.count("<svg") == 2
    assert rest.count("<svg") == 2


@pytest.mark.parametrize(
    ("difference", "speakers", "verdict"),
    [
        ((0.1, -0.1, 0.3), 9, "other speakers might reverse the order"),
        ((0.1, 0.01, 0.3), 9, "moma is better"),
        ((-0.2, -0.3, -0.1), 9, "the baseline is better"),
        ((0.1, 0.05, 0.15), 2, "too few speakers to say whether others would agree"),
        (None, 9, "the two were not scored on exactly the same recordings"),
    ],
)
def test_the_verdict_follows_from_the_interval(difference, speakers, verdict):
    baseline = {"kernel": "rbf", "features": "compare", "ua": 0.5, "ua_interval": (0.4, 0.6)}
    facts = baseline | {"difference": difference, "speakers": speakers}
    assert verdict in in_plain_words(result_of(), facts)[2]


def test_without_a_baseline_the_summary_says_how_to_make_one():
    assert "ser baseline makes one" in in_plain_words(result_of())[2]


def test_shared_speakers_and_missing_folds_are_said_in_the_first_sentence():
    protocol = {**result_of()["protocol"], "shares_speakers": True, "folds": 9}
    measured = in_plain_words(result_of(protocol=protocol))[0]
    assert "It was trained on the same speakers" in measured
    assert "Only 4 of 9 folds were run." in measured
    assert "none of whom it was trained on" in in_plain_words(result_of())[0]


def test_memory_stands_with_the_cost(tmp_path):
    cost = {**result_of()["cost"], "peak_memory_bytes": 1_234_000_000}
    runs = [
        write_run(tmp_path, "new", result_of(cost=cost)),
        write_run(tmp_path, "old", result_of(1)),
    ]
    page = write_report(open_runs(runs), tmp_path / "report")[0].read_text()
    assert "<code>memory</code>: 1,234 MB at most" in page
    assert "<code>memory</code>: not recorded" in page
