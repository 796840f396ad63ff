"""Unpacking an archive from the internet without trusting a word of it.

Every member is resolved under the target before the first byte is written; links, devices, `..`
and absolute names are refused; members, bytes and the expansion of the whole archive are capped,
and counted as they are written, whatever the archive's directory promises.
"""

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rich.progress import track

from ser_keras.errors import CorpusError

_BLOCK_BYTES = 2**20
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may unpack to.

    Args:
        max_members: int. Most members, folders included.
        max_bytes: int. Most bytes written.
        max_ratio: float. Most bytes written per byte of the archive. Speech stays below 10.
    """

    max_members: int = 10_000
    max_bytes: int = 4 * 2**30
    max_ratio: float = 50.0


def extract_zip(
    archive: Path,
    folder: Path,
    *,
    limits: ArchiveLimits,
    rename: Callable[[str], str | None] = str,
    progress: bool = False,
) -> list[Path]:
    """Unpacks a ZIP archive into a new folder.

    Args:
        archive: the file.
        folder: does not exist yet; on an error the caller removes it.
        limits: the caps.
        rename: from a member's name to the name it gets, or None to leave it out. Members that are
            left out are still checked.
        progress: show a bar.

    Returns:
        The files written.

    Raises:
        CorpusError: the archive is damaged, hostile or over a limit; names archive and member.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) > limits.max_members:
                raise _refusal(archive, f"{len(members)} members", f"at most {limits.max_members}")
            targets = _targets(archive, members, folder, rename)
            folder.mkdir()
            budget = int(min(limits.max_bytes, limits.max_ratio * archive.stat().st_size))
            for member, target in track(targets, "Unpacking", disable=not progress):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as output:
                    for block in _blocks(opened, member):
                        budget -= len(block)
                        if budget < 0:
                            raise _refusal(
                                archive,
                                f"more bytes than allowed, at {member.filename!r}",
                                f"at most {limits.max_bytes} bytes and "
                                f"{limits.max_ratio:g} times the archive's size",
                            )
                        output.write(block)
    except _DAMAGED as error:
        raise CorpusError(
            f"{archive}: the archive is damaged ({error}). Delete it and download it again."
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{archive}: could not unpack into {folder} ({error}). Free space there, or give "
            "another folder."
        ) from error
    return [target for _, target in targets]


def _blocks(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with opened.open(member) as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _targets(
    archive: Path,
    members: list[zipfile.ZipInfo],
    folder: Path,
    rename: Callable[[str], str | None],
) -> list[tuple[zipfile.ZipInfo, Path]]:
    targets: dict[Path, zipfile.ZipInfo] = {}
    for member in members:
        _check_member(archive, member)
        name = None if member.is_dir() else rename(member.filename)
        if name is None:
            continue
        target = (folder / name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise _refusal(archive, f"the member {member.filename!r}", f"names below {folder}")
        if target in targets:
            raise _refusal(archive, f"the member {member.filename!r} twice", "each name once")
        targets[target] = member
    return [(member, target) for target, member in targets.items()]


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise _refusal(archive, f"the absolute or foreign name {name!r}", "relative names")
    if ".." in PurePosixPath(name).parts:
        raise _refusal(archive, f"the name {name!r} with '..'", "names below the archive's root")
    # The upper half of the attributes holds a Unix mode, or zero from makers without one.
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind_name = "link" if kind == stat.S_IFLNK else "device or pipe"
        raise _refusal(archive, f"a {kind_name} called {name!r}", "only files and folders")


def _refusal(archive: Path, content: str, expected: str) -> CorpusError:
    return CorpusError(
        f"{archive}: found {content}, expected {expected}. Nothing was unpacked. This is not the "
        "published archive; do not use it, and tell its publisher."
    )
