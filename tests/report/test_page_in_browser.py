"""The report in a real browser, on a desk and on a telephone: `make test-web`.

Screenshots are in build/web, to be looked at.
"""

import shutil

import pytest

from ser_keras.report.pages.page import write_report
from ser_keras.report.runs import open_runs
from tests.architecture import ROOT
from tests.report.finished_runs import baseline_result, result_of, write_run

pytestmark = pytest.mark.web
PICTURES = ROOT / "build" / "web"
WIDTHS_PX = {"phone": 390, "desktop": 1280}
DARKEST, LIGHTEST = 60, 200


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("runs")
    # As many speakers as fill a picture and a table, and a name that does not fit on a telephone.
    names = [f"{number:02d}" for number in range(24)]
    results = [result_of(seed, speakers=names) for seed in range(2)]
    runs = [
        write_run(
            folder, "a-run-with-a-very-long-name-of-one-word-that-cannot-be-broken", results[0]
        ),
        write_run(folder, "short", results[1]),
    ]
    baseline = baseline_result(results[1]["by_speaker"])
    return write_report(open_runs(runs), folder / "report.html", [baseline])[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", WIDTHS_PX)
def test_nothing_is_wider_than_the_screen_but_within_a_box_of_its_own(
    browser, report, screen, scheme
):
    width = WIDTHS_PX[screen]
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(report.as_uri())
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"report-{screen}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    level = int(paper.removeprefix("rgb(").split(",")[0])
    assert level > LIGHTEST if scheme == "light" else level < DARKEST
    # The summary is what is seen first.
    assert page.locator(".cards section").first.bounding_box()["y"] < 844 / 2
    page.close()


def test_cards_and_pictures_stand_side_by_side_on_a_desk_and_below_one_another_on_a_phone(
    browser, report
):
    for screen, width in WIDTHS_PX.items():
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto(report.as_uri())
        for boxes in (".cards section", ".beside >> nth=0 >> xpath=./div"):
            first, second = (page.locator(boxes).nth(n).bounding_box() for n in range(2))
            assert (first["y"] == second["y"]) == (screen == "desktop")
        page.close()
