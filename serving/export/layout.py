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
from ser_keras.files import sync, sync_tree


def versions(folder: Path) -> list[int]:
    """Returns the versions in a model's folder, lowest first.

    Example:
        >>> versions(Path("no/such/folder"))
        []
    """
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


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
        ConfigError: the version exists or is not positive. Published versions never change.
    """
    known = versions(folder)
    number = version if version is not None else max(known, default=0) + 1
    if number < 1 or number in known:
        raise ConfigError(
            f"--version {number}: found versions {known or 'none'} in {folder}, expected a new "
            "positive number. Leave --version out for the next one."
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
