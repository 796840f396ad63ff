"""What files hold, by hash, without reading again what has not changed.

A file is known by size, both its times and its inode. `Hashes` keeps what was computed, so that a
pipeline with nothing to do looks at its files and reads none of them.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ser_keras.files import replacing

MEMORY = ".hashes.json"

# A file that has just been written may be written again within the same tick of its clock.
SETTLED_S = 2.0


class Hashes:
    """Hashes of files, some of them remembered.

    Args:
        memory: Path of the file in which they are kept; None remembers nothing and reads all.
    """

    def __init__(self, memory: Path | None = None):
        self.memory = memory
        self.known: dict[str, list[Any]] = _read(memory)
        self._changed = False

    def file(self, path: Path) -> str:
        """Returns the sha256 of a regular file's content, "" where there is none to be read."""
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                return ""
            mark = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
            known = self.known.get(str(path))
            if known is not None and known[:-1] == mark:
                return str(known[-1])
            with open(path, "rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError):
            return ""
        settled = time.time() - max(found.st_mtime, found.st_ctime) > SETTLED_S
        if self.memory is not None and settled:
            self.known[str(path)] = [*mark, sha256]
            self._changed = True
        return sha256

    def tree(self, folder: Path) -> dict[str, str]:
        """Returns the hash of every file below a folder by its relative path, sorted."""
        paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
        found = {path.relative_to(folder).as_posix(): self.file(path) for path in paths}
        return dict(sorted(found.items()))

    def of(self, path: Path) -> str:
        """Returns the hash of a file or of a whole folder, "" where there is neither."""
        path = path.absolute()
        return digest(self.tree(path)) if path.is_dir() else self.file(path)

    def save(self) -> None:
        """Writes down what was computed, without what is no longer there."""
        if self.memory is None or not self._changed:
            return
        kept = {path: known for path, known in self.known.items() if os.path.lexists(path)}
        # On a full disk the files are read again, the next time.
        with suppress(OSError), replacing(self.memory) as stream:
            stream.write(json.dumps(kept).encode())
        self._changed = False


def digest(value: Mapping[str, Any]) -> str:
    """Returns one hash of plain values and paths, whatever the order of their keys.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _read(memory: Path | None) -> dict[str, list[Any]]:
    """Returns what was remembered; nothing where the file is gone or damaged: it is a memory."""
    try:
        found = json.loads(memory.read_bytes()) if memory is not None else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
