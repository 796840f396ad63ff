"""The files of recordings: opened where nothing can block, and read with some bytes replaced."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ser_keras.audio.formats import EXPECTED
from ser_keras.errors import AudioError

_FILE_TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def printable(name: str | Path) -> str:
    """Returns a file's name as text that can be printed, whatever its bytes."""
    return os.fspath(name).encode("utf-8", "backslashreplace").decode()


def open_recording(path: str | Path, where: str) -> BinaryIO:
    """Opens a regular file; its size costs nothing.

    Raises:
        AudioError: missing or unreadable; says where, what was found and what to do.
    """
    with refusing_unreadable(path, where):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise AudioError(
                f"{where}: found {_FILE_TYPES.get(stat.S_IFMT(mode), 'a device')}, expected a file "
                f"of {EXPECTED}. Give the file itself.",
                "unreadable",
            )
        return open(path, "rb")


@contextmanager
def refusing_unreadable(path: str | Path, where: str) -> Iterator[None]:
    """Turns what the system says of a file into an `AudioError`: missing or unreadable."""
    try:
        yield
    except FileNotFoundError:
        link = os.path.islink(path)
        missing = f"a link to {printable(os.readlink(path))} (not there)" if link else "no file"
        raise AudioError(
            f"{where}: found {missing}, expected a file of {EXPECTED}. Correct the path, or copy "
            "the file again.",
            "missing",
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(
            f"{where}: could not be read ({getattr(error, 'strerror', None) or error}), expected a "
            f"file of {EXPECTED}. Check the name, the disk and the file's permissions.",
            "unreadable",
        ) from None


class Replaced(io.RawIOBase):
    """A file of which some bytes read as others.

    Args:
        stream: the file, open and at its beginning.
        position: int. Where the others begin.
        others: bytes.
    """

    def __init__(self, stream: BinaryIO, position: int, others: bytes):
        self._stream = stream
        self._position = position
        self._others = others

    def readable(self) -> bool:
        """Says yes."""
        return True

    def seekable(self) -> bool:
        """Says yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves in the file."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Returns the position in the file."""
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        """Reads into a writable buffer; returns how many bytes."""
        start = self._stream.tell()
        data = bytearray(self._stream.read(len(buffer)))
        for at, other in enumerate(self._others, self._position - start):
            if 0 <= at < len(data):
                data[at] = other
        buffer[: len(data)] = data
        return len(data)
