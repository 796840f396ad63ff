"""Hashes of files and folders, without reading unchanged files again.

A file counts as unchanged while its size, its two times and its inode stay the same. `Hashes`
stores what it computed, so that a pipeline with nothing to do reads none of its files.
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

from ser_keras.files import parse_json, replacing

MEMORY = ".hashes.json"

# A file that was just written may be written again within the same tick of the clock.
SETTLED_S = 2.0


class Hashes:
    """Hashes of files, some of them from memory.

    Args:
        memory: Path of the file that stores the hashes; without it every file is read.
    """

    def __init__(self, memory: Path | None = None):
        self.memory = memory
        self.known: dict[str, list[Any]] = _read_memory(memory)
        self._changed = False

    def file(self, path: Path) -> str:
        """Returns the sha256 of a regular file's content, "" if it cannot be read."""
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                return ""
            mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
            known = self.known.get(str(path))
            if known is not None and known[:-1] == mark:
                return str(known[-1])
            with open(path, "rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError):
            return ""
        settled = time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_S
        if self.memory is not None and settled:
            self.known[str(path)] = [*mark, sha256]
            self._changed = True
        return sha256

    def tree(self, folder: Path) -> dict[str, str]:
        """Returns the hash of every file below a folder by its relative path, sorted by path."""
        paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
        sha256_of = {path.relative_to(folder).as_posix(): self.file(path) for path in paths}
        return dict(sorted(sha256_of.items()))

    def of(self, path: Path) -> str:
        """Returns the hash of a file or of a whole folder, "" if there is neither."""
        path = path.absolute()
        return digest(self.tree(path)) if path.is_dir() else self.file(path)

    def save(self) -> None:
        """Stores the computed hashes of the files that still exist."""
        if self.memory is None or not self._changed:
            return
        kept = {path: known for path, known in self.known.items() if os.path.lexists(path)}
        # On a full disk nothing is stored, and the next run reads the files again.
        with suppress(OSError), replacing(self.memory) as stream:
            stream.write(json.dumps(kept).encode())
        self._changed = False


def digest(value: Mapping[str, Any]) -> str:
    """Returns one hash of plain values and paths, independent of the order of the keys.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _read_memory(memory: Path | None) -> dict[str, list[Any]]:
    """Returns the stored hashes; none if the file is missing or damaged."""
    try:
        stored = parse_json(memory.read_bytes()) if memory is not None else {}
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
