"""Tables in the terminal: as wide as it is, with every number whole."""

import io
import re

import pytest
from rich.console import Console

from ser_keras.cli import console as console_module
from ser_keras.cli.console import print_markdown, print_table
from ser_keras.report.pages.terminal import HEAD, sections, sections_of
from ser_keras.report.results_folder import read_results
from ser_keras.report.seeds import rows_of
from tests.architecture import ROOT
from tests.report.finished_runs import baseline_result, result_of


@pytest.fixture
def printed(monkeypatch):
    """Returns a function from a width to the text that a console of it has printed."""
    streams = {}

    def at(width):
        streams[width] = io.StringIO()
        narrow = Console(file=streams[width], width=width, soft_wrap=True, highlight=False)
        monkeypatch.setattr(console_module, "console", narrow)
        return streams[width]

    return at


@pytest.mark.parametrize("width", [64, 80, 120, 200])
def test_the_table_of_all_results_is_no_wider_than_the_terminal(printed, width):
    stream = printed(width)
    results = read_results(ROOT / "results")
    for section in sections_of(results):
        print_table(HEAD, section.rows, section.title)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in rows_of(results["cross-validation"].values()):
        assert re.search(rf" {100 * row.ua:.1f} ", text)


def test_every_row_stands_below_its_data_and_track_and_above_its_baseline():
    better, worse = result_of(0, skill=0.9), result_of(1, skill=0.4, model="attention_cnn")
    adapted = result_of(2, track="adapted")
    baseline = baseline_result(worse["by_speaker"])
    blind, other = sections([worse, better, adapted], [baseline])
    assert blind.title == "mine, 3 classes; manifest-loso; blind"
    assert [row[0] for row in blind.rows] == [
        "moma, ours",
        "attention_cnn, ours",
        "baseline: rbf SVM on compare features",
        "chance",
    ]
    assert blind.rows[1][1] == blind.rows[2][1] == f"{100 * worse['pooled']['ua']:.1f}"
    assert blind.rows[1][3].startswith("+0.0 (")
    assert blind.rows[3][1] == "33.3"
    assert [row[0] for row in other.rows] == ["moma, ours", "chance"]


def test_two_seeds_are_one_row_and_missing_folds_are_named():
    first = result_of(0, recipes={"tiny": {"epochs": 3, "seed": 0}})
    second = result_of(1, recipes={"tiny": {"epochs": 3, "seed": 1}})
    [section] = sections([first, second])
    assert section.rows[0][0] == "moma, ours, 2 seeds"
    [section] = sections([result_of(protocol={**result_of()["protocol"], "folds": 9})])
    assert section.rows[0][0] == "moma, ours, 4 of 9 folds"


def test_markdown_becomes_a_table_and_sentences_stay(printed):
    stream = printed(40)
    cell = "words " * 12
    print_markdown(f"Before.\n\n| a | `b` |\n|---|---|\n| **1.5** | {cell}|\n\nAfter, | too.")
    text = stream.getvalue()
    assert text.startswith("Before.\n")
    assert text.endswith("After, | too.\n")
    assert max(map(len, text.splitlines())) <= 40
    assert text.count("words") == 12
    assert not set("`*") & set(text)
    assert "|-" not in text


@pytest.mark.parametrize("width", [30, 60, 80, 100])
def test_no_number_is_cut_where_there_is_little_room(printed, width):
    stream = printed(width)
    head = ("member", "model", "seed", "weight", "UA (95 % over speakers)", "WA", "above it")
    rows = [
        (
            "cnn-0",
            "attention_cnn",
            "0",
            "0.500",
            "50.1 (40.2 – 62.5)",
            "50.7",
            "+10.1 (+1.2 – +9.3)",
        ),
        ("mo", "moma", "1", "0.250", "51.1 (41.2 – 63.5)", "51.7", "+11.1 (+2.2 – +13.3)"),
    ]
    print_table(head, rows)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = [word for line in lines for word in line.split()]
    for word in " ".join(cell for row in rows for cell in row).split():
        assert word in words


def test_a_column_without_cells_is_left_out(printed):
    stream = printed(80)
    print_table(("model", "UA", "above baseline"), [("moma", "50.0", ""), ("chance", "25.0", "")])
    assert "above" not in stream.getvalue()
    assert stream.getvalue().split() == ["model", "UA", "─" * 13, "moma", "50.0", "chance", "25.0"]


def test_markdown_of_all_results_is_printed_only_where_it_is_asked_for(ser):
    code, out, _ = ser("report", "--results", ROOT / "results")
    assert (code, "| data |" in out) == (0, False)
    assert "UA: unweighted accuracy" in out
    assert "ours: settings of this project" in out
    code, out, _ = ser("report", "--results", ROOT / "results", "--format", "md")
    assert (code, out.startswith("| data | protocol |")) == (0, True)


def test_an_unknown_format_names_the_nearest(ser):
    code, _, err = ser("report", "--format", "mdd")
    assert (code, "did you mean 'md'" in err) == (2, True)
