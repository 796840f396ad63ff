"""The hashes of an export's files, in the format of `sha256sum`.

`sha256sum --check assets.extra/SHA256SUMS` in the folder of a version checks the same.
"""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ser_keras.errors import ConfigError
from ser_keras.files import path_below, write_text

SUMS = Path("assets.extra", "SHA256SUMS")
# Nothing is computed from the card, whose text may be corrected.
NOT_LISTED = frozenset({SUMS.as_posix(), "assets.extra/model_card.md"})
WARM_UP = "assets.extra/tf_serving_warmup_requests"
TRUST = "or, if you trust whoever made it, pass --trust"


def write_hashes(folder: Path) -> None:
    """Writes the hashes of a version's files into its `assets.extra`."""
    lines = [f"{_sha256(folder / name)}  {name}\n" for name in _names(folder)]
    write_text(folder / SUMS, "".join(lines))


def check_hashes(folder: Path) -> None:
    """Checks that a version has the files that `ser export` wrote, and no others that are loaded.

    Raises:
        ConfigError: it has no list of hashes, or a file is missing, new or of other content.
    """
    expected = _read_sums(folder)
    names = set(_names(folder))
    for name, sha256 in expected.items():
        if name not in names:
            raise _changed(folder, f"lacks {name}")
        if _sha256(folder / name) != sha256:
            raise _changed(folder, f"holds another {name}")
    # TensorFlow reads nothing in `assets.extra` but the warm-up requests, and hides no file.
    for name in sorted(names - set(expected)):
        if not name.startswith("assets.extra/") or name == WARM_UP:
            raise _changed(folder, f"has {name} as well")


def check_kinds(folder: Path) -> None:
    """Checks that what TensorFlow reads are files: a pipe or a device would never end.

    Raises:
        ConfigError: one is something else.
    """
    names = ("saved_model.pb", "saved_model.pbtxt", WARM_UP)
    for path in (*(folder / name for name in names), *folder.glob("variables/*")):
        try:
            mode = path.stat().st_mode
        except OSError:
            # TensorFlow says what is missing.
            continue
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{path}: found no regular file, expected one. Copy the model again.")


def _read_sums(folder: Path) -> dict[str, str]:
    """Returns the listed hashes by name of file, whose separator is `/`."""
    path = folder / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        listed = {name: sha256 for sha256, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        raise ConfigError(
            f"{folder}: found no {SUMS}, the list of what `ser export` has checked. A stranger or "
            f"an earlier version of ser export made this model. Export it again, {TRUST}."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}), expected lines of sha256sum. Copy the model again, "
            "or export it anew."
        ) from None
    for name in listed:
        path_below(folder, name, str(path), ConfigError)
    if "saved_model.pb" not in listed:
        raise ConfigError(
            f"{path}: found no saved_model.pb, expected the list of a model's files. Copy the "
            "model again, or export it anew."
        )
    return listed


def _names(folder: Path) -> Iterator[str]:
    """Yields the files below a folder; those whose names begin with a dot are none of TensorFlow's.

    Raises:
        ConfigError: the folder cannot be read.
    """
    try:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
            if path.is_file() and not hidden and name not in NOT_LISTED:
                yield name
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read ({error.strerror or error}).") from None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None


def _changed(folder: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{folder}: {what}, unlike the files that `ser export` has checked. Copy the model again, "
        f"or export it anew; {TRUST}."
    )
