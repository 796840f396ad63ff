"""The figures of a run for a paper."""

import json
import re

import pytest

from ser_keras.report.pages.figures import write_figures
from ser_keras.report.runs import NOT_RECORDED, open_runs
from tests.report.finished_runs import CLASSES, result_of, write_run

matplotlib = pytest.importorskip("matplotlib")

POINTS_PER_CM = 72 / 2.54


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path, "run", result_of())


def svg_texts(path):
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))


def test_a_pdf_is_one_column_wide_and_keeps_its_letters(ser, run, tmp_path):
    code, out, _ = ser("figures", run, "--output", tmp_path / "figures")
    assert code == 0
    paths = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in paths] == [
        "calibration.pdf",
        "confusion.pdf",
        "recall-by-speaker.pdf",
    ]
    for path in paths:
        assert str(path) in out
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", path.read_bytes())
        assert float(box[1]) / POINTS_PER_CM == pytest.approx(8.4, abs=0.01)
        assert b"/CIDFontType2" in path.read_bytes()
        assert b"/Type3" not in path.read_bytes()


def test_every_format_that_is_asked_for_is_written_the_same_each_time(run, tmp_path):
    for folder in ("one", "two"):
        write_figures(open_runs([run]), tmp_path / folder, ("svg", "png", "pdf"))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    assert len(list((tmp_path / "one").iterdir())) == 9


def test_the_numbers_are_shares_of_the_true_class_and_recalls_of_the_speaker(run, tmp_path):
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        write_figures(open_runs([run]), tmp_path, ("svg",))
    result = result_of()
    shares = [
        f"{100 * count / sum(row):.0f}" for row in result["pooled"]["confusion"] for count in row
    ]
    numbers = [text for text in svg_texts(tmp_path / "confusion.svg") if text.isdigit()]
    assert numbers == shares
    recalls = []
    for counts in result["by_speaker"].values():
        of_speaker = [counts[number][number] / sum(counts[number]) for number in range(3)]
        recalls += [f"{100 * share:.0f}" for share in (*of_speaker, sum(of_speaker) / 3)]
    texts = svg_texts(tmp_path / "recall-by-speaker.svg")
    assert [text for text in texts if text.isdigit()] == recalls
    assert [text for text in texts if text in CLASSES] == list(CLASSES)


def test_a_class_that_a_speaker_does_not_have_leaves_its_cell_empty(tmp_path):
    result = result_of()
    result["by_speaker"]["a"][2] = [0, 0, 0]
    run = write_run(tmp_path, "run", result)
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        write_figures(open_runs([run]), tmp_path, ("svg",))
    texts = svg_texts(tmp_path / "recall-by-speaker.svg")
    assert len([text for text in texts if text.isdigit()]) == 4 * 4 - 1


def test_a_run_of_both_tracks_gives_two_of_each(tmp_path):
    run = write_run(tmp_path, "run", result_of(track="adapted"))
    (run / "result-blind.json").write_text(json.dumps(result_of(1, track="blind")))
    write_figures(open_runs([run]), tmp_path / "figures", ("svg",))
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"confusion-adapted.svg", "confusion-blind.svg"} < names
    assert len(names) == 6


def test_what_an_older_run_did_not_record_is_a_sentence(ser, tmp_path):
    older = {k: v for k, v in result_of().items() if k not in ("by_speaker", "reliability")}
    run = write_run(tmp_path, "older", older)
    code, out, _ = ser("figures", run, "--format", "svg", "--output", tmp_path / "figures")
    assert code == 0
    assert out.count(NOT_RECORDED) == 2
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["confusion.svg"]


def test_an_unknown_format_names_the_nearest(ser, run):
    code, _, err = ser("figures", run, "--format", "pdff")
    assert (code, "did you mean 'pdf'" in err) == (2, True)
