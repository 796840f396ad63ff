"""All or nothing on disk: a job writes into an attempt folder, and one rename publishes it.

An attempt is `<output>/.attempt-<host>-<random>`, locked by its process for as long as that lives.
The kernel drops the lock of a killed process, so the next job knows a leftover from a job that is
still running, without trusting process numbers, which are used again.
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


class Attempt:
    """A context manager around one attempt's folder; whatever is not committed is removed.

    Args:
        output: Path. Where sets are published; made if it is not there.
    """

    def __init__(self, output: Path):
        self.output = output
        self.path = output / f"{_PREFIX}{_host()}-{uuid.uuid4().hex[:12]}"
        self._lock = -1

    def __enter__(self) -> "Attempt":
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

        A folder of that name is replaced: the caller has found it damaged.
        """
        for path in self.path.iterdir():
            sync(path)
        sync(self.path)
        target = self.output / name
        with _output_locked(self.output):
            with _pointing_latest(self.output, name):
                if target.exists():
                    # Renamed as an attempt, so that a kill before its removal leaves no riddle.
                    os.rename(target, self.output / f"{_PREFIX}{_host()}-{uuid.uuid4().hex[:12]}")
                os.rename(self.path, target)
                sync(self.output)
            remove_leftovers(self.output)
        return target


def point_latest(output: Path, name: str) -> None:
    """Makes `name` the newest set of `output`, in one step; writes nothing where it is already."""
    latest = output / LATEST
    with _output_locked(output):
        if not latest.is_file() or latest.read_text() != f"{name}\n":
            with _pointing_latest(output, name):
                pass
        remove_leftovers(output)


@contextmanager
def _pointing_latest(output: Path, name: str) -> Iterator[None]:
    """Points LATEST to `name` once the block has ended well.

    The file is on the disk before the block begins: a full disk is met before anything is visible.
    """
    with replacing(output / LATEST) as stream:
        stream.write(f"{name}\n".encode())
        stream.flush()
        os.fsync(stream.fileno())
        yield
    sync(output)


def remove_leftovers(output: Path) -> None:
    """Removes attempts of dead processes on this machine, and of other machines after a day.

    The output must be locked: LATEST is written under the lock alone, so that what is left of such
    writing is of a killed process.
    """
    for path in output.glob(f"{_PREFIX}*"):
        try:
            age_s = time.time() - path.stat().st_mtime
            lock = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            ours = path.name.startswith(f"{_PREFIX}{_host()}-")
            if (ours and _try_lock(lock)) or age_s > STALE_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
    for path in output.glob("*.tmp"):
        of_latest = path.name.startswith(f"{LATEST}.")
        if of_latest or time.time() - path.stat().st_mtime > STALE_AFTER_S:
            path.unlink(missing_ok=True)


@contextmanager
def _output_locked(output: Path) -> Iterator[None]:
    """Makes jobs on one output wait for each other while they create, remove or publish."""
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
        # Held by another process, or a file system without locks: then age alone decides.
        return False
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", platform.node()) or "unknown"
