"""A disk of 64 MB that is full when the job wants to write one of its files.

The disk is real, a tmpfs, and so is the error. It is filled to the last byte in the moment in which
a file of that name is about to be opened.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import SchemaError, SerError
from tests.pipeline.conftest import snapshot

SIZE_MB = 64
# What is written, in this order, and the stage of the job at which that happens.
STAGES = {
    "sources-00000": "list of the first shard",
    "part-00000": "first shard",
    "part-00002": "a shard in the middle",
    "part-00003-of-00004.report": "last shard's report",
    "index.jsonl": "index",
    "manifest.json": "manifest",
    "LATEST": "commit",
}
BALLAST = "ballast"


@pytest.fixture
def disk(tmp_path):
    """A mounted tmpfs of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("no program mount here")
    options = f"size={SIZE_MB}m,nr_inodes=200"
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk):
    """Takes all that is left of the disk, but leaves its names."""
    ballast = os.open(disk / BALLAST, os.O_WRONLY | os.O_CREAT)
    try:
        free = os.statvfs(disk)
        os.posix_fallocate(ballast, 0, free.f_bavail * free.f_bsize)
    finally:
        os.close(ballast)


def fill_names(disk):
    """Takes all names, so that not even a folder can be made."""
    (disk / BALLAST).mkdir()
    for number in range(os.statvfs(disk).f_ffree):
        (disk / BALLAST / str(number)).touch()


def empty(disk):
    ballast = disk / BALLAST
    shutil.rmtree(ballast) if ballast.is_dir() else ballast.unlink()


@pytest.fixture
def full_at(disk, monkeypatch):
    """Returns a function: fill the disk when a file whose name begins so is opened."""

    def arm(name):
        plain = Path.open

        def open_on_full_disk(self, *arguments, **options):
            if self.name.startswith(name) and self.is_relative_to(disk):
                monkeypatch.setattr(Path, "open", plain)
                fill(disk)
            return plain(self, *arguments, **options)

        monkeypatch.setattr(Path, "open", open_on_full_disk)

    return arm


def check_refused(run, output, before):
    """Runs the job on a full disk: one sentence, and nothing there that was not there before."""
    with pytest.raises(SerError, match="No space left on device") as caught:
        run()
    assert caught.value.exit_code == 1
    message = str(caught.value)
    assert "Nothing was published." in message
    assert message.endswith("run the same command again.")
    assert (snapshot_of_tree(output) if output.exists() else {}) == before


def snapshot_of_tree(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", STAGES, ids=STAGES.values())
def test_a_disk_that_is_full_publishes_nothing_and_with_room_all(build, disk, full_at, name):
    whole = snapshot(build(num_shards=4))
    output = disk / "features"
    full_at(name)
    check_refused(lambda: build(output=output, num_shards=4), output, {})
    with pytest.raises(SchemaError):
        FeatureSet.open(output)
    empty(disk)
    assert snapshot(build(output=output, num_shards=4)) == whole
    assert FeatureSet.open(output).path.parent == output


@pytest.mark.parametrize("name", ["part-00000", "LATEST"])
def test_an_older_set_stays_what_readers_see(build, disk, full_at, name):
    output = disk / "features"
    older = build(output=output, num_shards=3)
    before = snapshot_of_tree(output)
    full_at(name)
    check_refused(lambda: build(output=output, num_shards=4), output, before)
    assert FeatureSet.open(output).path == older


def test_a_disk_without_room_for_the_attempt_itself(build, disk):
    output = disk / "features"
    fill_names(disk)
    check_refused(lambda: build(output=output, num_shards=4), output, {})
    empty(disk)
    assert len(FeatureSet.open(build(output=output, num_shards=4)).rows) == 24


def test_the_verb_says_so_and_exits_with_1(ser, corpus, disk, full_at):
    line = ["features", "--corpus", "manifest", "--data-dir", corpus, "--spec", "logmel23"]
    full_at("manifest.json")
    code, _, err = ser(*line, "--output", disk / "features")
    assert code == 1
    assert "error: SerError: feature job in" in err
    assert "No space left on device" in err
    assert "Make room" in err


@pytest.mark.slow
def test_two_workers_on_a_full_disk_end_as_well(build, disk):
    output = disk / "features"
    fill(disk)
    check_refused(lambda: build(output=output, num_shards=4, workers=2), output, {})
    empty(disk)
    assert len(FeatureSet.open(build(output=output, num_shards=4, workers=2)).rows) == 24
