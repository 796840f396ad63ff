"""What a fold leaves behind: its record, which epoch is kept, its cost, and its curves."""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.errors import SchemaError
from ser_keras.files import plain_name, read_json

# In the logs that are shown of the last epoch which an interrupted run has trained.
RESUMED = "resumed"


def read_fold_record(path: Path) -> dict[str, Any]:
    """Returns the record of a finished fold.

    Args:
        path: Path of the fold's `fold.json`.

    Raises:
        SchemaError: the file is missing, empty or damaged.
    """
    record: dict[str, Any] = read_json(
        path,
        "the record of a finished fold",
        "Remove this file and give the command that wrote it again: only this fold is made anew.",
        keys=("fold",),
    )
    plain_name(record["fold"], f"{path}, fold", SchemaError)
    return record


class Stopwatch:
    """What a fold has cost so far, up to the last checkpoint of every run that was interrupted."""

    def __init__(self) -> None:
        self._started = {"train_seconds": time.perf_counter(), "cpu_seconds": time.process_time()}
        self._before = dict.fromkeys(self._started, 0.0)
        self._peak_before = 0.0

    def resume(self, cost: Mapping[str, float]) -> None:
        """Adds what an interrupted run had cost at its last checkpoint.

        Args:
            cost: see `cost`; empty where a checkpoint of an earlier version did not record it.
        """
        self._before = {name: cost.get(name, 0.0) for name in self._started}
        self._peak_before = cost.get("peak_memory_bytes", 0.0)

    def cost(self) -> dict[str, float]:
        """Returns "train_seconds", by the clock, and "cpu_seconds", of all threads of the process.

        Training and test of the fold are counted. Of several workers the CPU time is the chief's.
        "peak_memory_bytes" is the most that the process has held in main memory since its start,
        with the folds before this one.
        """
        now = {"train_seconds": time.perf_counter(), "cpu_seconds": time.process_time()}
        cost = {
            name: round(self._before[name] + now[name] - started, 1)
            for name, started in self._started.items()
        }
        return {**cost, "peak_memory_bytes": max(self._peak_before, peak_memory_bytes())}


def peak_memory_bytes() -> int:
    """Returns the most main memory that this process has held since its start."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def kept_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Returns the first epoch with the best validation UA; the last if none was validated.

    Args:
        history: the logs of every epoch.

    Example:
        >>> kept_epoch([{"valid_ua": 0.3}, {"valid_ua": 0.6}, {"valid_ua": 0.6}])
        1
    """
    values = [logs.get("valid_ua", epoch) for epoch, logs in enumerate(history)]
    return int(np.argmax(values))


def summary_writer(folder: Path) -> Any:
    """Returns the context in which `write_summary` writes to `folder`."""
    # Reports use `kept_epoch` and need no TensorFlow.
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder)).as_default()


def write_summary(writer: Any, epoch: int, logs: Mapping[str, float]) -> None:
    """Writes the logs of an epoch for TensorBoard."""
    import tensorflow as tf

    for name, value in logs.items():
        tf.summary.scalar(name, value, step=epoch)
    tf.summary.flush(writer)
