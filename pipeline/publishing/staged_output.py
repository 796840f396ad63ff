"""Atomic output folders: a job writes into a staging folder, and one rename publishes it.

The staging folder is `<output>/.attempt-<host>-<random>`. Its process holds a lock on it. The
kernel drops the lock of a killed process, so the next job can tell a leftover from a job that is
still running, without relying on process numbers, which are reused.
"""

import fcntl
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_keras.data.feature_set import LATEST
from ser_keras.files import replacing, sync

STALE_AFTER_S = 24 * 3600.0

_PREFIX = ".attempt-"


class StagedOutput:
    """A context manager around a staging folder, which is removed unless it is committed.

    Args:
        output: Path. Folder in which sets are published; created if it does not exist.
    """

    def __init__(self, output: Path):
        self.output = output
        self.path = output / f"{_PREFIX}{_host()}-{uuid.uuid4().hex[:12]}"
        self._lock = -1

    def __enter__(self) -> "StagedOutput":
        self.output.mkdir(parents=True, exist_ok=True)
        with _output_locked(self.output):
            remove_leftovers(self.output)
            self.path.mkdir()
            self._lock = os.open(self.path, os.O_RDONLY)
            _try_lock(self._lock)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)

    def commit(self, name: str) -> Path:
        """Publishes the folder as `<output>/<name>` and points LATEST to it.

        An existing folder of that name is replaced; the caller has found it damaged.
        """
        for path in self.path.iterdir():
            sync(path)
        sync(self.path)
        target = self.output / name
        with _output_locked(self.output):
            with _latest_replaced(self.output, name):
                if target.exists():
                    # Under the name of a staging folder it is removed after a kill as well.
                    os.rename(target, self.output / f"{_PREFIX}{_host()}-{uuid.uuid4().hex[:12]}")
                os.rename(self.path, target)
                sync(self.output)
            remove_leftovers(self.output)
        return target


def point_latest(output: Path, name: str) -> None:
    """Makes `name` the newest set of `output`, in one step; writes nothing if it already is."""
    latest = output / LATEST
    with _output_locked(output):
        if not latest.is_file() or latest.read_text() != f"{name}\n":
            with _latest_replaced(output, name):
                pass
        remove_leftovers(output)


@contextmanager
def _latest_replaced(output: Path, name: str) -> Iterator[None]:
    """Points LATEST to `name` when the block has ended without an error.

    The file is on the disk before the block begins, so that a full disk raises its error before
    anything becomes visible.
    """
    with replacing(output / LATEST) as stream:
        stream.write(f"{name}\n".encode())
        stream.flush()
        os.fsync(stream.fileno())
        yield
    sync(output)


def remove_leftovers(output: Path) -> None:
    """Removes staging folders of dead processes on this machine, and of others after a day.

    The output must be locked. LATEST is written only under that lock, so a temporary file of it
    was left by a killed process.
    """
    for path in output.glob(f"{_PREFIX}*"):
        try:
            age_s = time.time() - path.stat().st_mtime
            lock = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            same_host = path.name.startswith(f"{_PREFIX}{_host()}-")
            if (same_host and _try_lock(lock)) or age_s > STALE_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
    for path in output.glob("*.tmp"):
        of_latest = path.name.startswith(f"{LATEST}.")
        if of_latest or time.time() - path.stat().st_mtime > STALE_AFTER_S:
            path.unlink(missing_ok=True)


@contextmanager
def _output_locked(output: Path) -> Iterator[None]:
    """Locks an output, so that only one job at a time creates, removes or publishes there."""
    lock = os.open(output, os.O_RDONLY)
    try:
        _try_lock(lock, wait=True)
        yield
    finally:
        os.close(lock)


def _try_lock(descriptor: int, *, wait: bool = False) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        # Another process holds it, or the file system has no locks; then only the age decides.
        return False
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", platform.node()) or "unknown"
