"""Verbs start without what they do not need: nobody waits seconds for a list."""

from importlib.metadata import entry_points

import pytest
from typer.main import get_command

from ser_keras.cli import app
from ser_keras.corpora.synthetic import write_corpus
from tests.architecture import ROOT
from tests.loaded import loaded_after, loaded_by

RESULT = ROOT / "results/emodb/emodb-loso/moma/ours.json"


# The list builds the options of all verbs.
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    assert loaded_by(*arguments) == set()


def test_lists_load_next_to_nothing():
    assert loaded_by("corpora") == {"numpy"}
    assert loaded_by("recipes") == {"ser_keras.config"}
    assert loaded_by("recipes", "moma") == {"ser_keras.config"}


def test_an_audit_of_a_corpus_loads_the_science_alone(tmp_path):
    write_corpus(tmp_path / "corpus")
    audit = ("audit", "--corpus", "synthetic", "--data-dir", tmp_path / "corpus")
    assert loaded_by(*audit) <= {"numpy", "scipy"}


def test_reports_and_figures_load_what_draws_them(tmp_path):
    drawing = {"numpy", "matplotlib", "ser_keras.config"}
    assert loaded_by("report", RESULT, "--output", tmp_path / "report") == drawing
    assert loaded_by("figures", RESULT, "--output", tmp_path / "figures") <= drawing
    assert loaded_by("report") == drawing - {"matplotlib"}


def test_the_model_is_loaded_only_for_what_it_can_hear(tmp_path):
    (tmp_path / "text.wav").write_text("no recording")
    assert loaded_by("explain", tmp_path / "text.wav", fails=True).isdisjoint(
        {"tensorflow", "keras", "scipy"}
    )


def test_a_verb_alone_is_loaded_where_the_line_names_one():
    def names(*arguments):
        return list(get_command(app.make_app(arguments)).commands)

    every = {verb.name for verb in entry_points(group=app.VERBS)}
    assert names("report", "runs/emodb") == ["report"]
    assert set(names("reprot")) == set(names("--help")) == set(names()) == every


@pytest.mark.parametrize(("verb", "rarely"), [("corpora", True), ("serve", False)])
def test_short_commands_look_rarely_for_garbage_and_servers_as_often_as_ever(verb, rarely):
    code = (
        "import gc, sys\nfrom ser_keras.cli import app\n"
        "app.make_app = lambda arguments: lambda: None\n"
        f"usual = gc.get_threshold()\nsys.argv = ['ser', '{verb}']\napp.main()\n"
        f"assert (gc.get_threshold() == app.GARBAGE_THRESHOLDS != usual) is {rarely}"
    )
    assert loaded_after(code) == set()
