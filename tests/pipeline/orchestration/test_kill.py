"""`kill -9` at any time, then the same command again: nothing lost, nothing doubled."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.job import build_feature_set
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import SchemaError
from tests.pipeline.conftest import SPEC, snapshot, write_corpus
from tests.pipeline.orchestration.killed_job import NUM_SHARDS

ROOT = Path(__file__).parents[3]
# Shards of 2 files each, 4 files of the set, the set itself, LATEST.
RENAMES = NUM_SHARDS * 2 + 4 + 2


def run(corpus, output, when, workers=1):
    command = [sys.executable, "-m", "tests.pipeline.orchestration.killed_job"]
    return subprocess.run(
        [*command, str(corpus), str(output), str(workers), when],
        cwd=ROOT,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )


def check_killed_then_whole(corpus, output, build, whole, when, workers=1):
    killed = run(corpus, output, when, workers)
    # A fast machine may be done before the clock.
    allowed = (-signal.SIGKILL, 0) if when.startswith("after") else (-signal.SIGKILL,)
    assert killed.returncode in allowed, killed.stderr
    try:
        seen = snapshot(FeatureSet.open(output).path)
    except SchemaError:
        seen = whole
    assert seen == whole
    again = build(output=output, workers=workers, num_shards=NUM_SHARDS)
    assert snapshot(again) == whole
    feature_set = FeatureSet.open(output)
    rows = feature_set.rows
    assert len({row.key for row in rows}) == len(rows) == feature_set.manifest["num_records"]
    assert sorted(path.name for path in output.iterdir()) == sorted(
        ["LATEST", feature_set.path.name]
    )


@pytest.fixture
def whole(build):
    """The files of an undisturbed run."""
    return snapshot(build(num_shards=NUM_SHARDS))


def test_the_job_publishes_by_as_many_renames_as_are_tested(corpus, tmp_path, build, whole):
    done = run(corpus, tmp_path / "killed", f"rename:{RENAMES + 1}")
    assert done.returncode == 0, done.stderr
    assert snapshot(FeatureSet.open(tmp_path / "killed").path) == whole


@pytest.mark.parametrize("number", [5, RENAMES])
def test_a_job_killed_between_renames(corpus, tmp_path, build, whole, number):
    check_killed_then_whole(corpus, tmp_path / "killed", build, whole, f"rename:{number}")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, RENAMES))
def test_a_job_killed_at_every_rename(corpus, tmp_path, build, whole, number):
    check_killed_then_whole(corpus, tmp_path / "killed", build, whole, f"rename:{number}")


@pytest.mark.slow
# The damaged set is moved away, the new one into its place, LATEST is written again.
@pytest.mark.parametrize("number", range(RENAMES - 1, RENAMES + 2))
def test_a_job_killed_while_it_replaces_a_damaged_set(corpus, tmp_path, build, whole, number):
    output = tmp_path / "killed"
    damaged = build(output=output, num_shards=NUM_SHARDS)
    next(damaged.glob("*.tfrecord")).unlink()
    check_killed_then_whole(corpus, output, build, whole, f"rename:{number}")


@pytest.mark.slow
def test_a_job_killed_beside_an_older_set_leaves_that_one_to_readers(
    corpus, tmp_path, build, whole
):
    output = tmp_path / "killed"
    older = build(output=output, num_shards=NUM_SHARDS + 1)
    assert run(corpus, output, f"rename:{RENAMES}").returncode == -signal.SIGKILL
    assert FeatureSet.open(output).path == older
    assert snapshot(build(output=output, num_shards=NUM_SHARDS)) == whole
    names = sorted(path.name for path in output.iterdir())
    assert names == sorted(["LATEST", older.name, FeatureSet.open(output).path.name])


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A corpus long enough for the clock to fall into the middle, and its undisturbed set."""
    root = tmp_path_factory.mktemp("long")
    write_corpus(root / "corpus", copies=100)

    def rebuild(**options):
        return build_feature_set("manifest", root / "corpus", SPEC, **options)

    return root / "corpus", rebuild, snapshot(rebuild(output=root / "out", num_shards=NUM_SHARDS))


@pytest.fixture(scope="module")
def num_steps(long, tmp_path_factory):
    """Number of file operations of an undisturbed job."""
    done = run(long[0], tmp_path_factory.mktemp("steps") / "out", "step:0")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("share", np.random.default_rng(1).uniform(0.0, 1.0, 8).round(3))
def test_a_job_killed_at_any_step(long, num_steps, tmp_path, share):
    corpus, rebuild, whole = long
    number = 1 + int(share * (num_steps - 1))
    check_killed_then_whole(corpus, tmp_path / "killed", rebuild, whole, f"step:{number}")


@pytest.mark.slow
@pytest.mark.parametrize("share", np.random.default_rng(0).uniform(0.0, 1.0, 4).round(3))
def test_two_workers_killed_at_any_time(long, tmp_path, share):
    corpus, rebuild, whole = long
    # Two processes take their time to start.
    when = f"after:{1.0 + share * 1.2}"
    check_killed_then_whole(corpus, tmp_path / "killed", rebuild, whole, when, workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_ends_the_verb_and_removes_what_it_began(long, tmp_path, workers):
    corpus, rebuild, whole = long
    output = tmp_path / "features"
    line = ["features", "--corpus", "manifest", "--data-dir", corpus, "--spec", "logmel23"]
    line += ["--output", output, "--shards", NUM_SHARDS, "--workers", workers]
    with subprocess.Popen([sys.executable, "-m", "ser_keras", *map(str, line)]) as job:
        while job.poll() is None and not any(output.glob(".attempt-*/*.tmp")):
            time.sleep(0.01)
        job.terminate()
    # As after Ctrl-C; inside a step, Beam makes an error of its own of it.
    assert job.returncode in (128 + signal.SIGINT, 1)
    assert list(output.iterdir()) == []
    assert snapshot(rebuild(output=output, num_shards=NUM_SHARDS)) == whole
