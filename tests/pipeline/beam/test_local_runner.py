import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import write_corpus

JOB = """
import sys
from pipeline.beam import local_runner
from pipeline.features.job import build_feature_set
from ser_keras.features.specs import get_spec
local_runner.GRACE_S = 1.0
build_feature_set("manifest", sys.argv[1], get_spec("logmel40"), sys.argv[2], workers=2)
"""


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return result


@pytest.mark.slow
def test_a_killed_worker_ends_the_job_with_an_error(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", copies=300)
    output = tmp_path / "features"

    def busy_workers():
        workers = sorted(output.glob(".attempt-*/*.worker"))
        # Only once work has begun is Beam certain to wait for it.
        return len(workers) == 2 and any(output.glob(".attempt-*/*.tmp")) and workers

    job = subprocess.Popen(
        [sys.executable, "-c", JOB, corpus, output],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )
    with job:
        os.kill(int(wait_for(busy_workers)[0].stem), signal.SIGKILL)
        _, error = job.communicate(timeout=60)
    assert job.returncode == 1
    # Beam's own threads may write theirs behind it.
    sentences = [line for line in error.splitlines() if "Beam stopped: " in line]
    assert "a worker process died, perhaps for lack of memory" in sentences[-1], error
    assert "Give fewer --workers. Nothing was published" in sentences[-1]
    assert list(output.iterdir()) == []


@pytest.mark.slow
def test_workers_stay_quiet(build, capfd):
    build(workers=2)
    printed = capfd.readouterr()
    assert "INFO" not in printed.err
    assert printed.out == ""
