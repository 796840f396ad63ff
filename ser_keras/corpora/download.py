"""`ser download`: RAVDESS and EmoDB from their publishers, checked, unpacked, all or nothing.

The definition of a corpus says where its archive is and how it is known. The archive comes over
HTTP and continues where an interrupted run stopped. RAVDESS is checked against its publisher's md5;
EmoDB's publisher gives none, so each of its 535 recordings is checked against a sha256 of the
original, and everything else in the archive is left out. The corpus appears under its name only
when it is complete, with a `.completed` marker; a rerun then does nothing.
"""

import json
import logging
import os
import shutil
import uuid
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

import pooch

from ser_keras.corpora import corpus_names, get_corpus
from ser_keras.corpora.archive import ArchiveLimits, extract_zip
from ser_keras.corpora.catalogue import definition_files
from ser_keras.corpora.definition_sections import Archive
from ser_keras.corpora.transfer import ResumingDownloader
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.files import parse_json

_MARKER = ".completed"


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
        name: a corpus whose definition names an archive, such as `"ravdess"`.
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
    source = source_of(name)
    target = Path(target)
    if _is_complete(target, name):
        return target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CorpusError(
            f"{target}: found other files there, expected nothing or a finished download of {name}"
            ". Give another folder, or delete this one."
        )
    if file_hashes is None and source.file_hashes:
        table = definition_files()[name].with_name(source.file_hashes)
        file_hashes = parse_json(table.read_text(encoding="utf-8"))
    known_hash = known_hash or source.known_hash or None
    archive = _retrieve(source, target, url or source.url, known_hash, progress)
    attempt = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        if file_hashes is None:
            extract_zip(archive, attempt, limits=limits or ArchiveLimits(), progress=progress)
        else:
            _extract_known(archive, attempt, limits or ArchiveLimits(), file_hashes, progress)
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


def source_of(name: str) -> Archive:
    """Returns the archive of a corpus.

    Raises:
        ConfigError: no such corpus, or one that cannot be downloaded.
    """
    corpus = get_corpus(name)
    archive = _archive_of(name)
    if archive is None:
        free = ", ".join(other for other in corpus_names() if _archive_of(other))
        raise ConfigError(
            f"{corpus.info.title} has no download command, expected one of {free}. "
            f"{corpus.info.access}"
        )
    return archive


def _archive_of(name: str) -> Archive | None:
    definition = get_corpus(name).definition
    return definition.download if definition and definition.download.url else None


def _is_complete(target: Path, name: str) -> bool:
    try:
        marker = parse_json((target / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return marker == {"corpus": name}


def _retrieve(
    source: Archive, target: Path, url: str, known_hash: str | None, progress: bool
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
