import json
import shutil
import signal

import numpy as np
import pytest

from pipeline.components.contract import Task
from pipeline.lineage.garbage import remove_leftovers
from pipeline.lineage.records import ABANDONED, LIVE
from pipeline.orchestration.node_result import CACHED, DONE, FAILED, REFUSED, SKIPPED
from ser_keras.errors import ConfigError, CorpusError, SchemaError
from tests.pipeline.toy_pipeline import NODES, REPOSITORY, ToyPipeline

ALL = set(NODES)
# Two for each record, PENDING and LIVE, and one for each artifact, of which `join` makes two.
RENAMES = 2 * len(NODES) + len(NODES) + 1


pytestmark = pytest.mark.usefixtures("toys")


def executed(states):
    return {node for node, state in states.items() if state == DONE}


def test_a_run_publishes_what_its_nodes_make(toy):
    results = toy.results()
    assert {result.state for result in results.values()} == {DONE}
    join = results["join"].execution
    folder = toy.root / "join" / "text" / join.execution_id
    assert (folder / "text.txt").read_text() == "HELLO+hello"
    assert [output.uri for output in join.outputs] == [
        f"join/text/{join.execution_id}",
        f"join/size/{join.execution_id}",
    ]
    assert {(artifact.key, artifact.execution_id) for artifact in join.inputs} == {
        ("left", results["shout"].execution.execution_id),
        ("right", results["source"].execution.execution_id),
    }
    assert list((toy.root / ".attempts").iterdir()) == []


def test_a_run_with_no_change_executes_nothing_and_writes_no_record(toy):
    toy.run()
    toy.take_log()
    before = toy.lineage.records
    assert set(toy.run().values()) == {CACHED}
    assert toy.take_log() == []
    assert toy.lineage.records == before


def test_a_changed_byte_runs_all_that_depends_on_it(toy):
    toy.run()
    toy.text = "hullo"
    assert executed(toy.run()) == ALL


def test_a_step_that_makes_the_same_bytes_again_leaves_its_dependants_alone(toy):
    del toy.nodes["join"]["inputs"]["right"]
    toy.run()
    toy.text = "Hello"
    assert executed(toy.run()) == {"source", "shout", "steps"}


def test_a_changed_parameter_runs_exactly_its_dependants(toy):
    toy.run()
    toy.change("shout", end="!")
    assert executed(toy.run()) == {"shout", "join", "check", "guarded"}
    toy.change("shout", end="")
    assert executed(toy.run()) == set()


def test_a_parameter_that_only_says_how_the_work_is_done_runs_nothing(toy):
    toy.run()
    toy.change("steps", stumble=2)
    assert set(toy.run().values()) == {CACHED}


def test_a_node_of_another_name_finds_what_was_made(toy):
    toy.run()
    toy.nodes = {name.replace("steps", "ladder"): node for name, node in toy.nodes.items()}
    assert toy.run()["ladder"] == CACHED


@pytest.mark.slow
def test_a_changed_module_runs_exactly_what_imports_it_and_a_comment_runs_nothing(toy, tmp_path):
    package = tmp_path / "toycopy"
    shutil.copytree(REPOSITORY / "tests/pipeline/toys", package)
    for file in package.glob("*.py"):
        file.write_text(file.read_text().replace("tests.pipeline.toys", "toycopy"))
    copied = {"package": "toycopy", "path": tmp_path}
    assert executed(toy.run_apart(**copied)) == ALL
    loud = package / "loud.py"
    loud.write_text(loud.read_text().replace("in capitals", "in CAPITALS") + "# A comment.\n")
    assert executed(toy.run_apart(**copied)) == set()
    loud.write_text(loud.read_text().replace("text.upper()", "text.upper() * 2"))
    # `guarded` shouts as well.
    assert executed(toy.run_apart(**copied)) == {"shout", "join", "check", "guarded"}


def test_a_refusal_is_published_stops_its_dependants_and_is_found_again(toy):
    toy.text = "bad"
    expected = dict.fromkeys(ALL, DONE) | {"check": REFUSED, "guarded": SKIPPED}
    results = toy.results()
    assert {name: result.state for name, result in results.items()} == expected
    assert results["check"].execution.state == LIVE
    assert toy.content()["check.verdict/text.txt"] == "BAD+bad"
    toy.take_log()
    again = toy.results()
    assert again["check"].execution.refusal == "found BAD"
    assert toy.take_log() == []
    toy.change("check", forbidden="WORSE")
    assert executed(toy.run()) == {"check", "guarded"}


def test_a_failure_publishes_nothing_and_stops_its_dependants_alone(toy):
    toy.text = "broken"
    results = toy.results()
    states = {name: result.state for name, result in results.items()}
    assert states == {
        "source": DONE,
        "steps": DONE,
        "shout": FAILED,
        "join": SKIPPED,
        "check": SKIPPED,
        "guarded": SKIPPED,
    }
    assert isinstance(results["shout"].error, CorpusError)
    (record,) = [record for record in toy.lineage.records if record.state == ABANDONED]
    assert (record.node, record.outputs) == ("shout", ())
    assert "the text is broken" in record.error
    assert not (toy.root / "shout").exists()
    assert list((toy.root / ".attempts").iterdir()) == []


def test_a_folder_that_cannot_be_written_fails_its_node_and_the_next_run_continues(toy):
    toy.root.mkdir()
    (toy.root / "shout").touch()
    results = toy.results()
    assert results["shout"].state == FAILED
    assert "node shout: stopped by Not a directory" in str(results["shout"].error)
    assert results["steps"].state == DONE
    (toy.root / "shout").unlink()
    assert executed(toy.run()) == {"shout", "join", "check", "guarded"}


def test_a_mistake_in_the_code_is_raised_and_its_execution_abandoned(toy):
    toy.text = "bug"
    with pytest.raises(ZeroDivisionError):
        toy.run()
    abandoned = [record for record in toy.lineage.records if record.state == ABANDONED]
    assert [record.node for record in abandoned] == ["shout"]


def test_a_component_that_resumes_continues_where_it_stopped(toy):
    toy.change("steps", stumble=2)
    assert toy.run()["steps"] == FAILED
    assert [line for line in toy.take_log() if "step " in line] == ["step 1"]
    toy.change("steps", stumble=0)
    assert toy.run()["steps"] == DONE
    assert [line for line in toy.take_log() if "step " in line] == ["step 2", "step 3"]
    assert toy.content()["steps.text/2.txt"] == "hellohello"


@pytest.mark.parametrize("damage", ["change", "remove", "add", "folder"])
def test_a_damaged_artifact_is_made_again(toy, damage):
    results = toy.results()
    folder = toy.root / results["shout"].execution.outputs[0].uri
    if damage == "change":
        (folder / "text.txt").write_text("hellO")
    elif damage == "remove":
        (folder / "text.txt").unlink()
    elif damage == "add":
        (folder / "more.txt").touch()
    else:
        shutil.rmtree(folder)
    assert executed(toy.run()) == {"shout"}
    assert toy.content()["shout.text/text.txt"] == "HELLO"


def test_what_was_made_outside_is_made_again_when_it_is_gone(toy):
    toy.nodes["push"] = {"component": "push", "inputs": {"text": "shout"}}
    toy.change("push", base=str(toy.folder / "models"))
    toy.run()
    shutil.rmtree(toy.folder / "models")
    assert executed(toy.run()) == {"push"}
    assert (toy.folder / "models/1/text.txt").read_text() == "HELLO"


def compared_text(results):
    """Returns the earlier text that the check compared with."""
    return results["check"].execution.facts["before"]


def test_the_last_verdict_is_on_another_input_and_stays_the_same(toy):
    toy.nodes["check"]["inputs"]["before"] = {"last": "check"}
    assert compared_text(toy.results()) == "nothing"
    toy.text = "second"
    assert compared_text(toy.results()) == "HELLO+hello"
    again = toy.results()
    assert (again["check"].state, compared_text(again)) == (CACHED, "HELLO+hello")
    toy.text = "bad"
    assert toy.run()["check"] == REFUSED
    toy.text = "third"
    # What was refused is never compared with.
    assert compared_text(toy.results()) == "SECOND+second"
    toy.text = "second"
    assert compared_text(toy.results()) == "THIRD+third"


def test_an_import_counts_by_its_content(toy, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("outside")
    toy.nodes["join"]["inputs"]["right"] = {"import": "."}
    # The folder of the pipeline's file has the log and the root in it, which change all the time.
    (tmp_path / "imported").mkdir()
    text.rename(tmp_path / "imported/text.txt")
    toy.nodes["join"]["inputs"]["right"] = {"import": "imported"}
    toy.run()
    assert toy.content()["join.text/text.txt"] == "HELLO+outside"
    (tmp_path / "imported/text.txt").write_text("Outside")
    assert executed(toy.run()) == {"join", "check", "guarded"}


def test_a_missing_import_is_refused_before_anything_runs(toy):
    toy.nodes["join"]["inputs"]["right"] = {"import": "nowhere"}
    with pytest.raises(ConfigError, match=r"node join, input right: found nothing at .*nowhere"):
        toy.results()
    assert not toy.root.exists()


def test_progress_and_states_reach_the_observer(toy):
    events = []

    class Observer:
        def state(self, node, state, text=""):
            events.append((node, state))

        def progress(self, node, what, done, total):
            events.append((node, f"{what} {done}/{total}"))

    toy.results(observer=Observer())
    steps = [event for node, event in events if node == "steps"]
    assert steps == ["looking", "running", "step 1/3", "step 2/3", "step 3/3", "done"]


def test_a_damaged_record_stops_the_run(toy):
    toy.run()
    path = next((toy.root / ".lineage").glob("*.json"))
    path.write_text(path.read_text().replace("LIVE", "LIVF"))
    with pytest.raises(SchemaError, match="damaged or edited"):
        toy.run()


def test_an_executor_needs_no_pipeline(tmp_path):
    from tests.pipeline.toys import read, shout, write

    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    write(tmp_path / "in", "hi")
    parameters = shout.SPEC.resolve({"end": "!"}, "here")
    shout.execute(Task({"text": tmp_path / "in"}, {"text": tmp_path / "out"}, parameters))
    assert read(tmp_path / "out") == "HI!"


# === Kills and concurrent runs ===


def check_killed_then_whole(toy, when, whole):
    process = toy.start(when=when)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err
    assert set(toy.run()) == ALL
    assert toy.content() == whole
    keys = [record.cache_key for record in toy.lineage.live]
    assert len(keys) == len(set(keys)) == len(ALL)
    remove_leftovers(toy.lineage)
    live = {output.uri for record in toy.lineage.live for output in record.outputs}
    published = {path.relative_to(toy.root).as_posix() for path in toy.root.glob("[!.]*/*/*")}
    assert published == live
    assert {record.state for record in toy.lineage.records} == {LIVE}


@pytest.fixture
def whole(tmp_path_factory):
    """The artifacts of an undisturbed run."""
    toy = ToyPipeline(tmp_path_factory.mktemp("whole"))
    toy.run()
    return toy.content()


@pytest.mark.parametrize("number", [3, 12])
def test_a_run_killed_between_renames(toy, whole, number):
    check_killed_then_whole(toy, f"rename:{number}", whole)


@pytest.fixture(scope="module")
def num_steps(tmp_path_factory):
    """Number of file operations of an undisturbed run."""
    return ToyPipeline(tmp_path_factory.mktemp("counted")).run_apart(when="step:0")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, RENAMES + 1))
def test_a_run_killed_at_every_rename(toy, whole, number):
    check_killed_then_whole(toy, f"rename:{number}", whole)


@pytest.mark.slow
@pytest.mark.parametrize("share", np.random.default_rng(2).uniform(0.0, 1.0, 8).round(3))
def test_a_run_killed_at_any_step(toy, whole, num_steps, share):
    check_killed_then_whole(toy, f"step:{1 + int(share * (num_steps - 1))}", whole)


def test_two_runs_on_one_root_share_the_work(toy, whole):
    processes = [toy.start(), toy.start()]
    states = [json.loads(process.communicate()[0]) for process in processes]
    for node in ALL:
        assert sorted(of_run[node] for of_run in states) == sorted([CACHED, DONE])
    assert toy.content() == whole
    assert sorted(toy.take_log()) == sorted(
        ["source", "shout", "shout", "join", "check", "step 1", "step 2", "step 3"]
    )
