"""`ser download`: RAVDESS and EmoDB from their publishers, checked, unpacked, all or nothing.

The archive comes over HTTP and continues where an interrupted run stopped. RAVDESS is checked
against its publisher's md5; EmoDB's publisher gives none, so each of its 535 recordings is checked
against a sha256 of the original, and everything else in the archive is left out. The corpus appears
under its name only when it is complete, with a `.completed` marker; a rerun then does nothing.
"""

import json
import logging
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path, PurePosixPath

import pooch

from ser_keras.corpora import get_corpus
from ser_keras.corpora.archive import ArchiveLimits, extract_zip
from ser_keras.corpora.transfer import ResumingDownloader
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.files import parse_json

_MARKER = ".completed"


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from and how its archive is known.

    Args:
        url: str. The archive.
        max_bytes: int. Most bytes it may have.
        known_hash: str or None. `"md5:..."` or `"sha256:..."` of the archive.
        file_hashes: str or None. Name of the table of sha256 by file name, beside this module.
        limits: what it may unpack to.
    """

    url: str
    max_bytes: int
    known_hash: str | None = None
    file_hashes: str | None = None
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)


SOURCES = {
    "ravdess": Source(
        url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
        max_bytes=208_468_073,
        known_hash="md5:bc696df654c87fed845eb13823edef8a",
    ),
    "emodb": Source(
        url="http://emodb.bilderbar.info/download/download.zip",
        max_bytes=200 * 10**6,
        file_hashes="emodb_sha256.json",
    ),
}


def download(
    name: str,
    target: str | Path,
    *,
    url: str | None = None,
    known_hash: str | None = None,
    file_hashes: Mapping[str, str] | None = None,
    limits: ArchiveLimits | None = None,
    progress: bool = True,
) -> Path:
    """Puts a corpus into the folder `target`, or finds that it is there already.

    Args:
        name: `"ravdess"` or `"emodb"`.
        target: the folder to make; the archive is kept beside it until it is unpacked.
        url: another address of the archive, such as a mirror; the hashes stay.
        known_hash: another hash of the archive.
        file_hashes: another table of sha256 by file name.
        limits: other caps for unpacking.
        progress: show bars.

    Returns:
        `target`, which `read` of the corpus accepts.

    Raises:
        ConfigError: no such corpus, or one that cannot be downloaded.
        CorpusError: the transfer failed, a hash differs, the archive is hostile, or `target` holds
            something else already.
    """
    source = _source(name)
    target = Path(target)
    if _is_complete(target, name):
        return target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CorpusError(
            f"{target}: found other files there, expected nothing or a finished download of {name}"
            ". Give another folder, or delete this one."
        )
    if file_hashes is None and source.file_hashes:
        table = files("ser_keras.corpora").joinpath(source.file_hashes)
        file_hashes = parse_json(table.read_text(encoding="utf-8"))
    known_hash = known_hash or source.known_hash
    archive = _retrieve(source, target, url or source.url, known_hash, progress)
    attempt = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        if file_hashes is None:
            extract_zip(archive, attempt, limits=limits or source.limits, progress=progress)
        else:
            _extract_known(archive, attempt, limits or source.limits, file_hashes, progress)
        (attempt / _MARKER).write_text(json.dumps({"corpus": name}), encoding="utf-8")
        os.rename(attempt, target)
    except BaseException:
        shutil.rmtree(attempt, ignore_errors=True)
        # An archive without a hash of its own would be taken for good by the next run.
        if known_hash is None:
            archive.unlink()
        raise
    shutil.rmtree(archive.parent)
    return target


def _source(name: str) -> Source:
    info = get_corpus(name).info
    if name not in SOURCES:
        raise ConfigError(
            f"{info.title} has no download command, expected one of {', '.join(SOURCES)}. "
            f"{info.access}"
        )
    return SOURCES[name]


def _is_complete(target: Path, name: str) -> bool:
    try:
        marker = parse_json((target / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return marker == {"corpus": name}


def _retrieve(
    source: Source, target: Path, url: str, known_hash: str | None, progress: bool
) -> Path:
    folder = target.parent / f".{target.name}.download"
    folder.mkdir(parents=True, exist_ok=True)
    # Its advice on hashes is for programmers; errors come as exceptions.
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = ResumingDownloader(folder / "archive.part", source.max_bytes, progress=progress)
    try:
        path = pooch.retrieve(url, known_hash, "archive.zip", folder, downloader=downloader)
    except ValueError as error:
        raise CorpusError(
            f"{url}: found another archive than the published one ({error}). Run the command "
            "again; if it happens twice, do not use what this address serves."
        ) from error
    return Path(path)


def _extract_known(
    archive: Path,
    folder: Path,
    limits: ArchiveLimits,
    file_hashes: Mapping[str, str],
    progress: bool,
) -> None:
    def known(member: str) -> str | None:
        path = PurePosixPath(member)
        original = path.name in file_hashes and "__MACOSX" not in path.parts
        return f"wav/{path.name}" if original else None

    extract_zip(archive, folder, limits=limits, rename=known, progress=progress)
    wrong = []
    for name, expected in sorted(file_hashes.items()):
        path = folder / "wav" / name
        actual = sha256(path.read_bytes()).hexdigest() if path.exists() else "no such file"
        if actual != expected:
            wrong.append(f"{name}: {actual}, expected {expected}")
    if wrong:
        raise CorpusError(
            f"{archive}: {len(wrong)} of {len(file_hashes)} recordings are not the original ones; "
            f"{'; '.join(wrong[:3])}. Nothing was unpacked. Run the command again; if it happens "
            "twice, do not use what this address serves."
        )
