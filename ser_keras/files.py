"""Files that appear whole or not at all, and locks that end with the process that holds them."""

import csv
import fcntl
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ser_keras.errors import ConfigError, SchemaError, SerError

# Signs of nesting in a YAML text that the parser in C may read.
_MOST_SIGNS_NESTED = 500

# The longest name that file systems take, less a suffix.
LONGEST_NAME_BYTES = 200


def plain_name(name: Any, where: str, kind: type[SerError] = ConfigError) -> str:
    r"""Returns a name that may become that of a file or a folder, and can lead nowhere else.

    Every name from a user, a file or a network passes here before it becomes part of a path.

    Args:
        name: what was given.
        where: what the name is of, for the error.
        kind: class of the error.

    Raises:
        SerError: of this kind; the name is no text, empty or too long, begins with a dot, or has a
            separator or a control character.

    Example:
        >>> plain_name("emodb 2s", "--name")
        'emodb 2s'
        >>> plain_name("../emodb", "--name")
        Traceback (most recent call last):
        ...
        ser_keras.errors.ConfigError: --name: found the name '../emodb', expected one that can ...
    """
    is_plain = (
        isinstance(name, str)
        and 0 < len(os.fsencode(name)) <= LONGEST_NAME_BYTES
        and not name.startswith(".")
        and not set(name) & {"/", "\\"}
        and name.isprintable()
    )
    if not is_plain:
        raise kind(
            f"{where}: found the name {name!r}, expected one that can name a file in its folder: "
            f"no / or \\, no dot at its start, at most {LONGEST_NAME_BYTES} bytes."
        )
    return str(name)


def path_below(folder: Path, relative: Any, where: str, kind: type[SerError] = SchemaError) -> Path:
    """Returns the path of a file below a folder, whose parts are separated by `/`.

    Args:
        folder: the folder.
        relative: str. Path of the file in it, whose every part is a `plain_name`.
        where: what the path is of, for the error.
        kind: class of the error.

    Raises:
        SerError: of this kind; the path leads out of the folder.
    """
    parts = relative.split("/") if isinstance(relative, str) else [relative]
    return folder.joinpath(*(plain_name(part, f"{where} {relative!r}", kind) for part in parts))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that appears under `path`, whole and on the disk, when the block ends well.

    A full disk or a crash leaves the old file or none. What a block that fails has written is
    removed.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # A full disk is noticed while writing, where the error does not name the file.
        if error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Calls `write(stream)` and lets what it wrote appear as `path`; makes the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        write(stream)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data`, atomically."""
    write_atomic(path, lambda stream: stream.write(data))


def write_text(path: Path, text: str) -> None:
    """Writes `text` in UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=1, sort_keys=False, allow_nan=False) + "\n")


def parse_json(text: str | bytes) -> Any:
    """Returns the value of a JSON text.

    Raises:
        ValueError: it is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_yaml(text: str | bytes) -> Any:
    """Returns the value of a YAML text, made of plain values alone.

    Raises:
        ValueError: it is no YAML, or is nested too deeply.
    """
    import yaml

    # The parser in C takes a tenth of the time, but deep nesting crashes it, and not every build
    # of PyYAML has it. Each level of nesting needs one of these signs.
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    shallow = sum(map(data.count, (b"[", b"{", b"-", b":", b"?"))) < _MOST_SIGNS_NESTED
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if shallow else yaml.SafeLoader
    try:
        return yaml.load(text, Loader=loader)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def read_json(path: Path, expected: str, remedy: str, keys: Sequence[str] = ()) -> Any:
    """Returns the content of a JSON file that a command has written.

    A full disk, a power cut or a copy that was stopped leave such a file empty or cut off.

    Args:
        path: Path of the file.
        expected: str. What it should hold, for the error.
        remedy: str. What the reader of the error is to do: a whole sentence.
        keys: names that an object in the file must have; any value is taken where there is none.

    Raises:
        SchemaError: the file is missing, empty, cut off or damaged, or lacks one of the keys.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = parse_json(text)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError as error:
        is_empty = path.stat().st_size == 0
        problem = "is empty" if is_empty else f"is cut off or damaged ({error})"
    else:
        missing = [key for key in keys if not isinstance(value, dict) or key not in value]
        if not missing:
            return value
        problem = f"lacks {', '.join(missing)}"
    raise SchemaError(f"{path}: {problem}, expected {expected}. {remedy}")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of the same keys as CSV with a header, atomically; None leaves a cell empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def sync(path: Path) -> None:
    """Writes a file, or the names in a folder, through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Writes everything below a folder through to the disk."""
    for parent, _, names in os.walk(folder):
        for path in (*(Path(parent, name) for name in names), Path(parent)):
            sync(path)


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds a lock file while the block runs; calls `waiting` where another process holds it.

    The kernel ends the lock with the process that holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
