import re
import sys
import time
from pathlib import Path

import pytest

from ser_keras.errors import SchemaError
from ser_keras.files import write_json
from ser_keras.training.history import Stopwatch, read_fold_record


def test_an_interrupted_training_costs_what_both_its_runs_did():
    first = Stopwatch()
    started = time.process_time()
    while time.process_time() - started < 0.3:
        pass
    before = first.cost()
    assert before["cpu_seconds"] >= 0.3
    second = Stopwatch()
    second.resume(before)
    assert second.cost()["cpu_seconds"] >= before["cpu_seconds"]
    assert second.cost()["train_seconds"] >= before["train_seconds"]


def test_a_checkpoint_that_recorded_no_cost_adds_none():
    watch = Stopwatch()
    watch.resume({})
    assert watch.cost()["cpu_seconds"] < 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the same number")
def test_the_peak_of_memory_is_that_of_the_process_and_of_the_runs_before():
    watch = Stopwatch()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kernel_bytes = 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    peak = watch.cost()["peak_memory_bytes"]
    assert peak == pytest.approx(kernel_bytes, rel=0.05)
    watch.resume({"peak_memory_bytes": 10 * peak})
    assert watch.cost()["peak_memory_bytes"] == 10 * peak


def test_the_record_of_a_fold_that_would_lie_elsewhere_is_refused(tmp_path):
    path = tmp_path / "fold.json"
    write_json(path, {"fold": "speaker-03"})
    assert read_fold_record(path) == {"fold": "speaker-03"}
    write_json(path, {"fold": "../../esc"})
    with pytest.raises(SchemaError, match=r"fold\.json, fold: found the name '../../esc'"):
        read_fold_record(path)
