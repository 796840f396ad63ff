"""The folders of exports: `<base>/<model>/<version>`, as TensorFlow Serving expects them.

A version is complete or absent: it is written to a folder whose name is no number, which servers
ignore, and published by one rename.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_keras.errors import ConfigError
from ser_keras.files import sync, sync_tree
from serving.export.trust.hashes import write_hashes


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
        write_hashes(staged)
        sync_tree(staged)
        os.rename(staged, final)
        sync(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
