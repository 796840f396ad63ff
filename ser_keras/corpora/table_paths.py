"""From what a table writes to the recording that it means, which never leads out of a folder."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from ser_keras.corpora.base import AUDIO_SUFFIXES
from ser_keras.errors import CorpusError

# Recordings share folders, and resolving a path looks at every folder above it.
_FOLDERS_KEPT = 1024
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def resolver() -> Callable[[str], Path]:
    """Returns `Path.resolve` for names of files, in a quarter of its time."""
    resolve_folder = lru_cache(_FOLDERS_KEPT)(lambda text: Path(text).resolve())

    def resolve(text: str) -> Path:
        folder, name = os.path.split(text)
        if name in ("", ".", "..") or os.path.islink(text):
            return Path(text).resolve()
        return resolve_folder(folder) / name

    return resolve


def spellings(written: str) -> Iterator[str]:
    r"""Yields a path as it is written, with `/` for `\`, and with accents as macOS stores them.

    Example:
        >>> list(spellings("anna\\1.wav"))
        ['anna\\1.wav', 'anna/1.wav']
    """
    yield written
    slashed = written.replace("\\", "/")
    if slashed != written:
        yield slashed
    if not written.isascii():
        yield unicodedata.normalize("NFD", slashed)


def find_recording(
    written: str,
    folder: Path,
    where: str,
    *,
    allow_outside: bool,
    resolve: Callable[[str], Path],
) -> tuple[str, Path]:
    """Returns the spelling of a path under which there is a file, and that file.

    Args:
        written: what the table says, absolute or relative to `folder`.
        folder: resolved; the file must lie below it.
        where: file and row, for errors.
        allow_outside: accept a file elsewhere.
        resolve: see `resolver`.

    Raises:
        CorpusError: no such file, or it lies outside.
    """
    if "\0" in written:
        raise CorpusError(f"{where}: found a path with a zero byte. Correct the row.")
    leads_out = False
    for spelling in spellings(written):
        path = resolve(os.path.join(folder, spelling))
        if not (allow_outside or path.is_relative_to(folder)):
            leads_out = True
        elif path.is_file():
            return spelling, path
    if leads_out and not _OF_WINDOWS.match(written):
        raise CorpusError(
            f"{where}: found the path {written!r}, which leads out of {folder}. Move the audio "
            "there, or pass --allow-outside."
        )
    raise CorpusError(f"{where}: found no file {written!r} in {folder}. {_remedy(written, folder)}")


def _remedy(written: str, folder: Path) -> str:
    if _OF_WINDOWS.match(written):
        return (
            "It is the path of another computer: write it relative to the table, or let `ser "
            "import` find the recordings."
        )
    path = folder / written.replace("\\", "/")
    try:
        names = os.listdir(path.parent) if path.parent.is_relative_to(folder) else []
    except OSError:
        names = []
    for name in sorted(names):
        same_name = name.casefold() == path.name.casefold()
        same_stem = Path(name).stem.casefold() == path.stem.casefold()
        if same_name or (same_stem and Path(name).suffix.lower() in AUDIO_SUFFIXES):
            return f"There is {name!r}: write that, or let `ser import` find the recordings."
    return "Correct the path, or remove the row."
