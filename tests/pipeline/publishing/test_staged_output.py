import os
import subprocess
import sys
import time

import pytest

from pipeline.publishing.staged_output import StagedOutput, point_latest, remove_leftovers
from ser_keras.files import replacing

HOLDER = """
import sys
from pathlib import Path
from pipeline.publishing.staged_output import StagedOutput
with StagedOutput(Path(sys.argv[1])) as staged:
    print(staged.path.name, flush=True)
    sys.stdin.read()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_commit_publishes_the_folder_and_points_to_it(tmp_path):
    with StagedOutput(tmp_path / "out") as staged:
        (staged.path / "file").write_text("content")
        assert names(tmp_path / "out") == [staged.path.name]
        assert staged.commit("set") == tmp_path / "out" / "set"
    assert names(tmp_path / "out") == ["LATEST", "set"]
    assert (tmp_path / "out/LATEST").read_text() == "set\n"
    assert (tmp_path / "out/set/file").read_text() == "content"


def test_an_error_leaves_nothing(tmp_path):
    def fail():
        with StagedOutput(tmp_path) as staged:
            (staged.path / "file").write_text("content")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(tmp_path) == []


def test_commit_replaces_a_damaged_set(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/old").touch()
    with StagedOutput(tmp_path) as staged:
        (staged.path / "new").touch()
        staged.commit("set")
    assert names(tmp_path / "set") == ["new"]
    assert names(tmp_path) == ["LATEST", "set"]


def test_pointing_to_a_set_removes_what_a_killed_job_left(tmp_path):
    with StagedOutput(tmp_path) as staged:
        leftover = staged.path
        staged.commit("set")
    leftover.mkdir()
    (tmp_path / "LATEST.0123456789ab.tmp").touch()
    point_latest(tmp_path, "set")
    assert names(tmp_path) == ["LATEST", "set"]


def test_the_staging_folder_of_a_living_process_is_kept_and_of_a_killed_one_removed(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        name = holder.stdout.readline().decode().strip()
        try:
            remove_leftovers(tmp_path)
            assert names(tmp_path) == [name]
        finally:
            holder.kill()
    assert names(tmp_path) == [name]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("age_s", "kept"), [(3600, True), (25 * 3600, False)])
def test_the_staging_folder_of_another_machine_is_removed_after_a_day(tmp_path, age_s, kept):
    folder = tmp_path / ".attempt-elsewhere-0123"
    folder.mkdir()
    os.utime(folder, (time.time() - age_s,) * 2)
    remove_leftovers(tmp_path)
    assert folder.exists() is kept


def test_finished_sets_are_never_leftovers(tmp_path):
    (tmp_path / "0123").mkdir()
    os.utime(tmp_path / "0123", (0, 0))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["0123"]


def fail_while_replacing(path):
    with replacing(path) as stream:
        stream.write(b"sec")
        raise KeyError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as stream:
        stream.write(b"first")
        assert not path.exists()
    with pytest.raises(KeyError):
        fail_while_replacing(path)
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["file"]
