import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.run import lineage as app
from pipeline.lineage.garbage import DELETIONS, delete_speaker, plan_deletion, remove_leftovers
from pipeline.lineage.publishers import FOLDER
from pipeline.lineage.records import ABANDONED, LIVE, REMOVED, Execution
from pipeline.lineage.store import Lineage
from pipeline.lineage.verify import verify
from pipeline.orchestration.node_result import DONE, FAILED
from pipeline.publishing.file_hashes import Hashes
from ser_keras.errors import ConfigError, CorpusError, SchemaError
from tests.pipeline.toy_pipeline import ToyPipeline

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def toy(tmp_path):
    """A pipeline that was run, and pushed something to a folder outside."""
    toy = ToyPipeline(tmp_path)
    toy.nodes["push"] = {"component": "push", "inputs": {"text": "shout"}}
    toy.change("push", base=str(tmp_path / "models"))
    toy.run()
    return toy


def ser(*arguments):
    """Runs the verb; returns what it printed, or raises what it raised."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def artifact_files(toy):
    return sorted(path for path in toy.root.glob("[!.]*/*/*/*") if path.is_file())


def test_a_record_is_read_as_it_was_written(toy):
    for record in toy.lineage.records:
        assert Execution.from_bytes(record.to_bytes()) == record


def test_a_record_says_what_was_made_from_what(toy):
    (record,) = [record for record in toy.lineage.live if record.node == "shout"]
    assert (record.component, record.pipeline, record.state) == ("shout", "toys", LIVE)
    assert record.parameters["end"] == ""
    assert record.started <= record.ended
    assert {"python", "tensorflow"} <= set(record.versions)
    assert record.host
    (text,) = record.inputs
    maker = toy.lineage.get(text.execution_id)
    assert (maker.node, maker.outputs[0].sha256) == ("source", text.sha256)


# === verify ===


def test_what_is_as_it_was_made_is_verified(toy):
    assert verify(toy.lineage) == []
    assert "10 files of 7 executions are as they were made" in ser("verify", toy.root)


@pytest.mark.parametrize("seed", range(20))
def test_any_flipped_bit_is_found(toy, seed):
    rng = np.random.default_rng(seed)
    files = [*artifact_files(toy), *sorted((toy.root / ".lineage").glob("*.json"))]
    path = files[rng.integers(len(files))]
    data, times = bytearray(path.read_bytes()), path.stat()
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    # As a disk would flip it: with no trace in the times.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    problems = verify(toy.lineage)
    assert problems != []
    assert str(path) in problems[0]


@pytest.mark.parametrize("number", range(10))
def test_any_file_that_is_gone_is_found(toy, number):
    path = artifact_files(toy)[number]
    path.unlink()
    assert verify(toy.lineage) == [f"{path}: is gone"]


def test_a_file_that_was_added_is_found(toy):
    path = artifact_files(toy)[0].with_name("more")
    path.touch()
    assert "was added" in verify(toy.lineage)[0]


def swap(first, second):
    between = first.with_name("between")
    first.rename(between)
    second.rename(first)
    between.rename(second)


def test_two_files_that_changed_places_are_found(toy):
    first, second = sorted(toy.root.glob("steps/text/*/[12].txt"))
    swap(first, second)
    assert len(verify(toy.lineage)) == 2


def test_two_artifacts_that_changed_places_are_found(toy):
    (first,), (second,) = toy.root.glob("source/text/*"), toy.root.glob("shout/text/*")
    swap(first, second)
    assert len(verify(toy.lineage)) == 2


def test_two_records_that_changed_places_are_found(toy):
    first, second, *_ = sorted((toy.root / ".lineage").glob("*.json"))
    swap(first, second)
    assert sum("is the record of" in problem for problem in verify(toy.lineage)) == 2


def test_a_record_that_is_gone_is_found(toy):
    (record,) = [record for record in toy.lineage.live if record.node == "source"]
    (toy.root / ".lineage" / f"{record.execution_id}.json").unlink()
    problems = " ".join(verify(toy.lineage))
    assert f"{record.execution_id}: no record says what this is" in problems
    assert "no record says who made its input text" in problems


def test_verify_ends_with_the_code_of_damaged_results(toy):
    artifact_files(toy)[0].write_text("x")
    with pytest.raises(SchemaError, match="found 1 things"):
        ser("verify", toy.root)


# === show and gc ===


def test_show_lists_executions_and_what_they_were_made_from(toy):
    (source,) = [record for record in toy.lineage.live if record.node == "source"]
    output = ser("show", toy.root)
    assert f"{source.execution_id}  source  LIVE" in output
    assert f"    text: {source.execution_id}" in output


def test_show_prints_an_execution_with_all_that_it_was_made_from(toy):
    (shout,) = [record for record in toy.lineage.live if record.node == "shout"]
    output = ser("show", toy.root, shout.execution_id)
    assert output.count('"cache_key"') == 2


def test_an_unknown_execution_is_an_error(toy):
    with pytest.raises(ConfigError, match="unknown execution 'x'"):
        ser("show", toy.root, "x")


def test_a_folder_that_is_no_root_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"found no \.lineage there"):
        ser("gc", tmp_path)


def test_gc_removes_what_failed_and_nothing_else(toy):
    toy.text = "broken"
    toy.change("steps", stumble=2)
    toy.run()
    assert len(list((toy.root / ".attempts").iterdir())) == 1
    live = toy.content()
    assert "removed 3 leftovers" in ser("gc", toy.root)
    assert toy.content() == live
    assert {record.state for record in toy.lineage.records} == {LIVE}
    assert list((toy.root / ".attempts").iterdir()) == []
    assert "removed 0 leftovers" in ser("gc", toy.root)


def test_gc_of_what_is_superseded_leaves_what_the_newest_run_used(toy):
    toy.nodes["check"]["inputs"]["before"] = {"last": "check"}
    toy.run()
    toy.text = "second"
    used = {name: result.execution.execution_id for name, result in toy.results().items()}
    toy.text = "broken"
    toy.run()
    output = ser("gc", toy.root, "--superseded")
    assert "removed what join made" in output
    live = toy.lineage.live
    # The newest of each node, what these were made from and compared with, and all that was pushed.
    nodes = sorted(record.node for record in live)
    assert nodes == sorted([*used, "source", "check", "push"])
    assert verify(toy.lineage) == []
    toy.text = "second"
    # The steps of the failed run were the newest.
    assert [name for name, state in toy.run().items() if state == DONE] == ["steps"]
    ser("delete-speaker", toy.root, "anna", "--yes")
    assert toy.lineage.live == []
    assert list((toy.folder / "models").iterdir()) == []


def test_a_speaker_of_whom_only_records_are_left_is_still_deleted(two_speakers):
    ser("gc", two_speakers.root, "--superseded")
    assert "only its record is left" in ser("delete-speaker", two_speakers.root, "anna", "--yes")
    assert all(
        "toys/anna" not in record.facts.get("speakers", ())
        for record in two_speakers.lineage.records
    )
    assert not (two_speakers.folder / "models/1").exists()


def test_gc_touches_nothing_while_a_record_is_damaged(toy):
    path = next((toy.root / ".lineage").glob("*.json"))
    path.write_text("{}")
    files = artifact_files(toy)
    with pytest.raises(SchemaError):
        ser("gc", toy.root)
    assert artifact_files(toy) == files


def test_gc_leaves_what_no_record_knows(toy):
    (record,) = [record for record in toy.lineage.live if record.node == "check"]
    toy.lineage.forget(record)
    remove_leftovers(toy.lineage)
    assert (toy.root / record.outputs[0].uri).is_dir()


def test_a_record_whose_artifact_lies_outside_of_the_root_removes_nothing(toy):
    outside = toy.folder / "mine"
    outside.mkdir()
    (record,) = [record for record in toy.lineage.live if record.node == "check"]
    output = replace(record.outputs[0], uri=f"../{outside.name}")
    toy.lineage.write(replace(record, outputs=(output,)))
    with pytest.raises(SchemaError, match=r"folder of an artifact '../mine': found the name '..'"):
        ser("delete-speaker", toy.root, "anna", "--yes")
    assert outside.is_dir()


# === delete-speaker ===


@pytest.fixture
def two_speakers(toy):
    """The same pipeline, run with another speaker as well."""
    toy.text = "other"
    toy.change("source", speakers=["toys/bert"])
    toy.change("push", base=str(toy.folder / "others"))
    toy.run()
    return toy


def test_delete_speaker_lists_and_removes_nothing_without_yes(two_speakers):
    before = two_speakers.content()
    output = ser("delete-speaker", two_speakers.root, "anna")
    assert "7 executions saw toys/anna; nothing was removed" in output
    assert f"outside the root: {two_speakers.folder}/models/1" in output
    assert two_speakers.content() == before


def test_delete_speaker_removes_all_that_was_made_of_the_speech_and_no_more(two_speakers):
    others = {record.execution_id for record in two_speakers.lineage.live[7:]}
    ser("delete-speaker", two_speakers.root, "toys/anna", "--yes")
    assert {record.execution_id for record in two_speakers.lineage.live} == others
    left = "".join(path.read_text() for path in artifact_files(two_speakers)).lower()
    assert "hello" not in left
    assert "other" in left
    assert not (two_speakers.folder / "models/1").exists()
    assert (two_speakers.folder / "others/1").exists()
    assert verify(two_speakers.lineage) == []


def test_what_was_removed_is_written_down_by_hash_without_a_name(two_speakers):
    removed_outputs = [
        output for record in two_speakers.lineage.live[:7] for output in record.outputs
    ]
    ser("delete-speaker", two_speakers.root, "anna", "--yes")
    (note,) = (two_speakers.root / ".lineage" / DELETIONS).glob("*.json")
    executions = json.loads(note.read_text())["executions"]
    hashes = [output["sha256"] for record in executions for output in record["outputs"]]
    assert sorted(hashes) == sorted(output.sha256 for output in removed_outputs)
    kept = note.read_text() + "".join(
        path.read_text() for path in (two_speakers.root / ".lineage").glob("*.json")
    )
    removed = [record for record in two_speakers.lineage.records if record.state == REMOVED]
    assert len(removed) == 7
    assert all(not record.facts for record in removed)
    assert "hello" not in kept


def test_an_attempt_that_may_hold_the_speech_goes_as_well(two_speakers):
    two_speakers.text = "more"
    two_speakers.change("source", speakers=["toys/anna"])
    two_speakers.change("steps", stumble=2)
    assert two_speakers.run()["steps"] == FAILED
    ser("delete-speaker", two_speakers.root, "anna", "--yes")
    assert list((two_speakers.root / ".attempts").iterdir()) == []


def test_a_deleted_speaker_does_not_come_back_by_the_next_run(two_speakers):
    ser("delete-speaker", two_speakers.root, "anna", "--yes")
    two_speakers.text = "hello again"
    two_speakers.change("source", speakers=["toys/anna"])
    results = two_speakers.results()
    assert isinstance(results["source"].error, CorpusError)
    assert "found the speaker toys/anna, who was deleted" in str(results["source"].error)
    assert list(two_speakers.root.glob(".attempts/*")) == []
    (note,) = (two_speakers.root / ".lineage" / DELETIONS).glob("*.json")
    note.unlink()
    assert two_speakers.run()["source"] == DONE


def test_a_published_model_that_a_killed_deletion_hid_goes_with_the_next(two_speakers):
    (two_speakers.folder / "models/1").rename(two_speakers.folder / "models/.removed-0123")
    ser("delete-speaker", two_speakers.root, "anna", "--yes")
    assert list((two_speakers.folder / "models").iterdir()) == []


def test_an_unknown_speaker_is_an_error(two_speakers):
    with pytest.raises(ConfigError, match="did you mean 'toys/anna'"):
        ser("delete-speaker", two_speakers.root, "toys/ana")


@pytest.mark.parametrize("number", range(1, 8))
def test_a_deletion_that_stops_half_way_is_completed_by_the_same_command(
    two_speakers, monkeypatch, number
):
    deletion = plan_deletion(two_speakers.lineage, "anna")
    calls = []
    write = Lineage.write

    def stop(self, record):
        calls.append(record)
        if len(calls) == number:
            raise KeyboardInterrupt
        write(self, record)

    monkeypatch.setattr(Lineage, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        delete_speaker(two_speakers.lineage, deletion)
    monkeypatch.setattr(Lineage, "write", write)
    delete_speaker(two_speakers.lineage, plan_deletion(two_speakers.lineage, "anna"))
    assert "hello" not in "".join(path.read_text() for path in artifact_files(two_speakers)).lower()
    assert len(two_speakers.lineage.live) == 7


def test_what_was_made_again_and_came_out_equal_is_found_by_its_content(toy):
    (source,) = [record for record in toy.lineage.live if record.node == "source"]
    shutil.rmtree(toy.root / source.outputs[0].uri)
    toy.run()
    assert toy.lineage.get(source.execution_id).state == ABANDONED
    remove_leftovers(toy.lineage)
    assert verify(toy.lineage) == []
    assert len(plan_deletion(toy.lineage, "anna").executions) == 7


# === A model that two pipelines published ===


@pytest.fixture
def two_roots(toy, tmp_path):
    """Two pipelines with roots of their own that published the same version."""
    (tmp_path / "second").mkdir()
    second = ToyPipeline(tmp_path / "second")
    second.nodes["push"] = {"component": "push", "inputs": {"text": "shout"}}
    second.change("push", base=str(tmp_path / "models"))
    second.run()
    return toy, second


def test_another_pipeline_that_published_the_model_is_named_before_it_is_removed(two_roots):
    toy, second = two_roots
    output = ser("delete-speaker", toy.root, "anna")
    model = toy.folder / "models" / "1"
    assert (
        f"outside the root: {model}; pipeline toys in {second.root} published it as well" in output
    )
    assert f"look with: ser lineage delete-speaker {second.root} toys/anna" in output
    assert model.is_dir()
    output = ser("delete-speaker", toy.root, "anna", "--yes")
    assert f"pipeline toys in {second.root} published it as well" in output
    assert not model.exists()


def test_the_other_pipeline_says_what_is_gone_and_why(two_roots):
    toy, second = two_roots
    assert verify(second.lineage) == []
    ser("delete-speaker", toy.root, "anna", "--yes")
    (problem,) = verify(second.lineage)
    assert problem.startswith(f"{toy.folder / 'models' / '1'}: is gone, push published it; ")
    assert f"removed it with a speaker in {toy.root}" in problem
    with pytest.raises(SchemaError, match="found 1 things that are not as they were"):
        ser("verify", second.root)
    # Published again, or deleted there as well, it is no longer missed.
    second.run()
    assert verify(second.lineage) == []
    ser("delete-speaker", second.root, "anna", "--yes")
    assert verify(second.lineage) == []
    assert list((toy.folder / "models").iterdir()) == []


def test_of_a_model_of_its_own_nobody_else_is_named(toy):
    assert "as well" not in ser("delete-speaker", toy.root, "anna")
    ser("delete-speaker", toy.root, "anna", "--yes")
    assert list((toy.folder / "models").iterdir()) == []


@pytest.mark.parametrize(("harm", "problem"), [("removed", "is gone"), ("changed", "content")])
def test_a_published_model_that_somebody_removed_or_changed_is_found(toy, harm, problem):
    folder = toy.folder / "models" / "1"
    (record,) = [record for record in toy.lineage.live if record.node == "push"]
    facts = {**record.facts, "sha256": Hashes().of(folder)}
    toy.lineage.write(replace(record, facts=facts))
    assert verify(toy.lineage) == []
    if harm == "removed":
        shutil.rmtree(folder)
    else:
        next(path for path in folder.rglob("*") if path.is_file()).write_text("other")
    (found_problem,) = verify(toy.lineage)
    assert found_problem.startswith(f"{folder}: ")
    assert problem in found_problem


def test_damaged_notes_are_named(two_roots):
    toy, _ = two_roots
    for note in (toy.folder / "models" / FOLDER).glob("*.json"):
        note.write_text("")
    with pytest.raises(SchemaError, match=r"1-.*\.json: is empty, expected who published"):
        ser("delete-speaker", toy.root, "anna")


def test_an_emptied_list_of_newest_executions_is_named(toy):
    path = toy.root / ".lineage" / "latest" / "toys.json"
    path.write_text("")
    with pytest.raises(SchemaError, match=r"toys\.json: is empty, .*Remove this file"):
        ser("verify", toy.root)
    path.unlink()
    toy.run()
    assert verify(toy.lineage) == []
