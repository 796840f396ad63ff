"""The verb `ser run` from the command line."""

import pytest
from rich.console import Console

from pipeline.cli.run_view import RunView
from pipeline.orchestration.pipeline_file import load_pipeline

pytestmark = pytest.mark.usefixtures("toys")


def test_a_run_prints_the_state_of_each_node_and_the_folders_of_artifacts(toy, ser):
    code, out, _ = ser("run", toy.write())
    assert code == 0
    assert "shout: running shout: done" in out
    (folder,) = toy.root.glob("shout/text/*")
    assert f"shout: {folder}" in out
    code, out, _ = ser("run", toy.write())
    assert out.count(": cached") == 6


def test_a_failure_ends_with_its_own_code_and_a_refusal_with_10(toy, ser):
    toy.text = "broken"
    code, out, err = ser("run", toy.write())
    assert (code, err) == (3, "error: CorpusError: the text is broken. Mend it.")
    assert "join: skipped: shout failed" in out
    toy.text = "bad"
    code, _, err = ser("run", toy.write())
    assert (code, err) == (10, "error: RefusalError: node check refuses: found BAD")


def test_a_node_is_left_out_and_another_root_taken(toy, ser, tmp_path):
    code, out, _ = ser("run", toy.write(), "--without", "check", "--root", tmp_path / "other")
    assert code == 0
    assert "check" not in out
    assert (tmp_path / "other/guarded").is_dir()
    assert not toy.root.exists()


def test_a_graph_is_drawn_and_nothing_is_run(toy, ser, tmp_path):
    code, _, _ = ser("run", toy.write(), "--graph", tmp_path / "graph.png")
    assert code == 0
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    assert not toy.root.exists()


def test_a_terminal_shows_a_table_of_all_nodes(toy):
    console = Console(force_terminal=True, record=True, width=100)
    nodes = load_pipeline(toy.write()).nodes
    with RunView(nodes, console) as view:
        view.state("source", "running")
        view.progress("source", "recordings", 3, 7)
        view.state("shout", "skipped", "source failed")
    shown = console.export_text()
    for node in nodes:
        assert node.name in shown
    assert "recordings 3/7" in shown
    assert "skipped" in shown
