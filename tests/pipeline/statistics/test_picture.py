"""The picture of statistics: its texts, and that it is reproducible."""

import pytest

from ser_keras.plots import data_statistics
from tests.pipeline.statistics.example_statistics import example_rows, statistics


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Returns a function that draws and returns the picture's text."""

    def draw(*arguments):
        path = tmp_path_factory.mktemp("picture") / "statistics.svg"
        data_statistics(arguments[0], path, *arguments[1:])
        # Letters are drawn as shapes; the texts are in comments.
        return path.read_text()

    return draw


def test_axes_have_units_and_the_title_says_what_is_drawn(drawn):
    text = drawn(statistics(example_rows()))
    for words in (
        "made: 40 utterances",
        "duration (s)",
        "utterances (%)",
        "samples at full scale (%)",
        "blocks 40 dB below the loudest (%)",
        "value of logmel40",
    ):
        assert f"<!-- {words} -->" in text
    assert text.count("<!-- not measured -->") == 2


def test_earlier_data_are_drawn_over_it_and_named(drawn):
    new, old = statistics(example_rows()), statistics(example_rows(20), shift=1.0, name="before")
    text = drawn(new, old)
    assert "<!-- made: 40 utterances; black: before, 20 utterances -->" in text
    assert "<!-- mean, earlier data -->" in text
    assert text != drawn(new)
    assert text == drawn(new, old)
