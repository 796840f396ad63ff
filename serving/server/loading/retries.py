"""When a version that could not be loaded is tried again.

TensorFlow Serving gives a version a few attempts and then leaves it alone until somebody restarts
the server. `cp`, NFS and object stores show a version before it is whole, so here it is also tried
again once its files have changed.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Name, size in bytes and time of change in nanoseconds of each file of a version.
Fingerprint = tuple[tuple[str, int, int], ...]
# Name of the model, number of the version.
Key = tuple[str, int]


@dataclass
class _Failure:
    """What is known of a version that could not be loaded.

    Args:
        tried: the files as the last attempt met them.
        seen: the files when they were last looked at.
        attempts: int. Attempts with these files so far.
        after_s: float. Monotonic time from which the next attempt is due.
    """

    tried: Fingerprint
    seen: Fingerprint
    attempts: int
    after_s: float


class Retries:
    """The versions that could not be loaded, and when to try them again.

    Args:
        attempts: int. Number of attempts with the same files.
        retry_s: float. Time between two of them.
    """

    def __init__(self, attempts: int, retry_s: float):
        self.attempts, self.retry_s = attempts, retry_s
        self._failures: dict[Key, _Failure] = {}

    def is_due(self, key: Key, folder: Path) -> bool:
        """Tells whether to load a version now.

        After the last attempt, a version is due again once its files differ from those that were
        tried and have stood still between two looks at them.
        """
        failure = self._failures.get(key)
        if failure is None:
            return True
        files = fingerprint(folder)
        still, failure.seen = files == failure.seen, files
        if failure.attempts < self.attempts and time.monotonic() >= failure.after_s:
            return True
        if files == failure.tried or not still:
            return False
        failure.attempts = 0
        return True

    def record_failure(self, key: Key, files: Fingerprint) -> str:
        """Notes that a version could not be loaded; returns what happens next, for a log.

        Args:
            key: of the version.
            files: its files before the attempt.
        """
        known = self._failures.get(key)
        attempts = 1 + (known.attempts if known is not None else 0)
        self._failures[key] = _Failure(files, files, attempts, time.monotonic() + self.retry_s)
        if attempts < self.attempts:
            return f"tried again in {self.retry_s:g} s"
        return "tried again when its files change"

    def forget(self, key: Key) -> None:
        """Notes that a version could be loaded."""
        self._failures.pop(key, None)


def fingerprint(folder: Path) -> Fingerprint:
    """Returns what changes when anything below a folder is written, replaced or made readable."""
    return tuple(_entries(folder))


def _entries(folder: Path) -> Iterator[tuple[str, int, int]]:
    yield _entry(folder)
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield _entry(Path(parent, name))


def _entry(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), status.st_size, status.st_ctime_ns
