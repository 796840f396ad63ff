"""Finds the recordings that a table from elsewhere means, below a folder on this machine."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath, PureWindowsPath

from ser_keras.corpora.table_paths import resolver, spellings
from ser_keras.errors import CorpusError

# What people call the files that `ser_keras.audio` opens; their content is judged there.
_ENDINGS = "wav flac ogg oga opus mp3 m4a mp4 3gp aac amr webm wma aif aiff au snd caf w64 rf64"
ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS.split(" "))
_SAMPLED_ROWS = 200


class RecordingIndex:
    """The audio files below a folder, by path and by name, whatever their ending and letter case.

    Args:
        folder: Path. Where the recordings are.
        allow_outside: bool. Accept files elsewhere, where a path leads to one.
    """

    def __init__(self, folder: Path, allow_outside: bool = False):
        self.folder = folder
        self.allow_outside = allow_outside
        self._root = folder.resolve()
        self._resolve = resolver()
        self._above = 0
        self._of_path: dict[str, list[Path]] = defaultdict(list)
        self._of_name: dict[str, list[Path]] = defaultdict(list)
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                if Path(name).suffix.lower() in ENDINGS and not name.startswith("._"):
                    path = Path(parent, name)
                    self._of_path[_key(path.relative_to(folder).parts)].append(path)
                    self._of_name[_key((name,))].append(path)

    def __len__(self) -> int:
        return sum(map(len, self._of_path.values()))

    def fit(self, written: Sequence[str]) -> None:
        r"""Finds out how many folders in front of all paths belong to another computer.

        The table of `C:\data\anna\1.wav` and `C:\data\ben\1.wav` has two in common.

        Args:
            written: the paths of a table.
        """
        parts = [_parts(path) for path in written[:: max(1, len(written) // _SAMPLED_ROWS)]]
        levels = zip(*(path[:-1] for path in parts), strict=False)
        common = sum(1 for _ in takewhile(lambda folders: len(set(folders)) == 1, levels))

        def matches(above: int) -> int:
            return sum(_key(path[above:]) in self._of_path for path in parts)

        self._above = max(range(common + 1), key=lambda above: (matches(above), -above))

    def find(self, written: str) -> Path:
        """Returns the file that a path or an id means.

        The path as it is written comes first, then the same path with any audio ending and in any
        letter case, then the only file of that name in any folder, where no folder is written.

        Raises:
            CorpusError: none, several, or one outside of the folder; the message is the reason.
        """
        if "\0" in written:
            raise CorpusError("a zero byte in its path")
        for spelling in spellings(written):
            path = self.folder / spelling
            if path.is_file():
                return self._inside(path)
        parts = _parts(written)[self._above :]
        paths = self._of_path.get(_key(parts), [])
        if not paths and len(parts) == 1:
            paths = self._of_name.get(_key(parts), [])
        ending = Path(written).suffix.lower()
        paths = [path for path in paths if path.suffix.lower() == ending] or paths
        if len(paths) > 1:
            raise CorpusError(f"several files, such as {paths[0]} and {paths[1]}")
        if not paths:
            raise CorpusError("no such file")
        return self._inside(paths[0])

    def _inside(self, path: Path) -> Path:
        if self.allow_outside or self._resolve(str(path)).is_relative_to(self._root):
            return path
        raise CorpusError(f"leads out of {self.folder}; --allow-outside accepts it")


def _parts(written: str) -> tuple[str, ...]:
    """Returns folders and name of a path of any system, without drive and root."""
    path = PureWindowsPath(written) if "\\" in written else PurePosixPath(written)
    return path.parts[bool(path.anchor) :]


def _key(parts: Sequence[str]) -> str:
    """Returns a path without audio ending, equal for all letter cases and spellings of accents."""
    stem, ending = os.path.splitext("/".join(parts))
    whole = stem if ending.lower() in ENDINGS else stem + ending
    return unicodedata.normalize("NFC", whole).casefold()
