"""The folders of exports: `<base>/<model>/<version>`, as TensorFlow Serving expects them.

A version is complete or absent: it is written to a folder whose name is no number, which servers
ignore, and published by one rename.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_keras.errors import ConfigError
from ser_keras.files import plain_name, sync, sync_tree

MAX_VERSION = 2**63 - 1


def version_number(name: str) -> int | None:
    """Returns the version that a folder's name stands for, None if it stands for none.

    TensorFlow Serving keeps versions in 64 bits, and ignores folders with larger numbers.

    Example:
        >>> version_number("0012"), version_number("12a"), version_number("9" * 20)
        (12, None, None)
    """
    if not (name.isascii() and name.isdecimal()):
        return None
    number = int(name)
    return number if number <= MAX_VERSION else None


def version_folders(folder: Path) -> dict[int, Path]:
    """Returns the folders of a model's versions by number, lowest first.

    If several names stand for one number, such as 7 and 007, the last one in alphabetical order
    counts, as in TensorFlow Serving.

    Raises:
        OSError: the folder is missing or cannot be read, or is a file.
    """
    numbered = ((version_number(path.name), path) for path in sorted(folder.iterdir()))
    return dict(sorted((number, path) for number, path in numbered if number is not None))


def versions(folder: Path) -> list[int]:
    """Returns the versions in a model's folder, lowest first.

    Example:
        >>> versions(Path("no/such/folder"))
        []
    """
    return list(version_folders(folder)) if folder.is_dir() else []


def model_folder(base: Path, name: str) -> Path:
    """Returns the folder of a model's versions, `<base>/<name>`.

    Raises:
        ConfigError: the name would lead elsewhere.
    """
    return base / plain_name(name, "name of the model")


@contextmanager
def errors_of_files() -> Iterator[None]:
    """Turns TensorFlow's errors about files into Python's, which tell a full disk from a bug.

    Raises:
        OSError: TensorFlow could not write; names the file.
    """
    from tensorflow.errors import OpError

    try:
        yield
    except OpError as error:
        path, _, reason = error.message.rpartition("; ")
        codes = [code for code in errno.errorcode if os.strerror(code) == reason]
        if not codes:
            raise
        raise OSError(codes[0], reason, path) from None


@contextmanager
def new_version(folder: Path, version: int | None = None) -> Iterator[tuple[Path, Path]]:
    """Gives (folder to write to, its name once published); publishes if the block succeeds.

    Args:
        folder: Path of the model, `<base>/<model>`. Made if it is not there.
        version: int. The next free one when left out.

    Raises:
        ConfigError: the version exists, is not positive, or is too large. Published versions never
            change.
    """
    known = versions(folder)
    number = version if version is not None else max(known, default=0) + 1
    if not 1 <= number <= MAX_VERSION or number in known:
        raise ConfigError(
            f"--version {number}: found versions {known or 'none'} in {folder}, expected a new "
            "positive number of 64 bits. Leave --version out for the next one."
        )
    final = folder / str(number)
    staged = folder / f".tmp-{uuid.uuid4().hex}"
    staged.mkdir(parents=True)
    try:
        yield staged, final
        sync_tree(staged)
        os.rename(staged, final)
        sync(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
