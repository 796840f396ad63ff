"""What a feature job reads: the recordings, their hashes, their shards, and the job's identity.

A job's fingerprint is a hash of everything its result depends on, so that a finished set can be
found again by name, and any change of a recording, a label, a spec, the code or a library leads to
another one.
"""

import gc
import hashlib
import inspect
import itertools
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

import soundfile

from ser_keras import audit
from ser_keras.audio import checks, limits, reading, writing
from ser_keras.corpora import read_corpus
from ser_keras.corpora.base import Utterance
from ser_keras.data.example import encode_example
from ser_keras.data.record_files import frame_record
from ser_keras.errors import CorpusError
from ser_keras.features.extract import extract
from ser_keras.features.specs import KINDS, class_of_kind

MIN_SHARDS = 8
SOURCE_BYTES_PER_SHARD = 64 * 2**20

# Each file that waits to be hashed costs a kilobyte.
_HASHED_AT_ONCE = 256
_LIBRARIES = ("numpy", "scipy", "soundfile", "soxr")
_SAID = tuple(each.name for each in fields(Utterance))
_LINE = (*_SAID, "relative", "sha256", "num_bytes")
_SORTED = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True, slots=True)
class Source:
    """One recording to be processed.

    Args:
        utterance: what the corpus's reader says of it.
        path: str. Its file, relative to the corpus folder; the name under which it is reported.
        sha256: str. Hash of the file, `""` where it cannot be read or has not been read yet.
        num_bytes: int. Size of the file.
    """

    utterance: Utterance
    path: str
    sha256: str
    num_bytes: int

    @property
    def key(self) -> str:
        """The utterance's key."""
        return self.utterance.key

    def to_line(self) -> bytes:
        """Returns all of it as a line of JSON, without names; `from_line` is the inverse."""
        said = {**_said(self.utterance), "path": str(self.utterance.path)}
        values = [*said.values(), self.path, self.sha256, self.num_bytes]
        return json.dumps(values).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Source":
        """Returns the source that `to_line` wrote."""
        key, path, *said, relative, sha256, num_bytes = json.loads(line)
        return cls(Utterance(key, Path(path), *said), relative, sha256, num_bytes)


class SourceList(Sequence[Source]):
    """Recordings, each held as its line: 240 bytes for what takes 1300 as objects.

    Args:
        lines: what `Source.to_line` gave.
    """

    def __init__(self, lines: Iterable[bytes]):
        self.lines = list(lines)

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Source: ...

    @overload
    def __getitem__(self, index: slice) -> "SourceList": ...

    def __getitem__(self, index: int | slice) -> "Source | SourceList":
        if isinstance(index, slice):
            return SourceList(self.lines[index])
        return Source.from_line(self.lines[index])

    def column(self, name: str) -> Iterator[Any]:
        """Yields one field of every recording, in a third of the time of whole sources.

        Args:
            name: str. Field of an utterance, or `"num_bytes"`.
        """
        place = _LINE.index(name)
        return (json.loads(line)[place] for line in self.lines)


def list_sources(
    corpus: str, data_dir: Path, *, allow_partial: bool = False, allow_outside: bool = False
) -> SourceList:
    """Does `find_sources`, and hashes what it finds."""
    found = find_sources(corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside)
    return SourceList(source.to_line() for source in hashed(found))


def find_sources(
    corpus: str, data_dir: Path, *, allow_partial: bool = False, allow_outside: bool = False
) -> SourceList:
    """Reads a corpus's tree, but none of its recordings.

    Returns:
        Sources without hashes, sorted by key.

    Raises:
        ConfigError: no such corpus.
        CorpusError: the reader refuses the tree, or two recordings have one key.
    """
    utterances = read_corpus(
        corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside
    )
    utterances = sorted(utterances, key=lambda utterance: utterance.key)
    for one, next_one in itertools.pairwise(utterances):
        if one.key == next_one.key:
            raise CorpusError(
                f"{corpus} at {data_dir}: found the key {one.key} twice ({one.path} and "
                f"{next_one.path}), expected it once. Remove or rename one of the two."
            )
    found = SourceList(_lines(utterances, data_dir if data_dir.is_dir() else data_dir.parent))
    # Empties Python's lists of free objects, a few of which keep most of what the utterances took.
    gc.collect()
    return found


def hashed(sources: SourceList) -> Iterator[Source]:
    """Reads the recordings and yields them with their hashes, in the same order."""
    # Hashing waits for the disk and releases the GIL, so more threads than cores pay.
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        for first in range(0, len(sources), _HASHED_AT_ONCE):
            yield from pool.map(_hashed, sources[first : first + _HASHED_AT_ONCE])


def file_sha256(path: Path) -> str:
    """Returns the hash of a regular file's content, or `""` where there is none to be read."""
    # A named pipe would block for ever.
    if _num_bytes(path) is None:
        return ""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def choose_num_shards(sizes: Iterable[int]) -> int:
    """Returns how many shards recordings of these sizes want, in bytes; never the machine's matter.

    Example:
        >>> choose_num_shards([])
        8
    """
    return max(MIN_SHARDS, math.ceil(sum(sizes) / SOURCE_BYTES_PER_SHARD))


def shard_of(key: str, num_shards: int) -> int:
    """Returns the shard of an utterance: the first 8 bytes of the key's sha256, modulo.

    Example:
        >>> [shard_of(f"emodb/{stem}", 8) for stem in ("03a01Fa", "03a01Nc", "16b10Wb")]
        [4, 5, 0]
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % num_shards


def shard_name(index: int, num_shards: int) -> str:
    """Returns a shard's file name without its ending.

    Example:
        >>> shard_name(3, 8)
        'part-00003-of-00008'
    """
    return f"part-{index:05}-of-{num_shards:05}"


def source_fingerprint(sources: Iterable[Source]) -> str:
    """Returns a hash of the recordings and all that is known of them, wherever they lie."""
    # That of one JSON list, which is never there as a whole.
    digest = hashlib.sha256(b"[")
    for number, source in enumerate(sources):
        known = {**_said(source.utterance), "path": source.path, "sha256": source.sha256}
        digest.update(b", " * (number > 0) + _SORTED.encode(known).encode())
    digest.update(b"]")
    return digest.hexdigest()


def fingerprint(sources: str, settings: Mapping[str, Any]) -> str:
    """Returns the identity of a job's result.

    Args:
        sources: str. What `source_fingerprint` says of the recordings.
        settings: mapping, ready for JSON. Spec, names, limits, number of shards.
    """
    depends_on = {
        "sources": sources,
        "settings": settings,
        "versions": library_versions(),
        "code": [file_sha256(path) for path in code_paths()],
    }
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def code_paths() -> list[Path]:
    """Returns the modules that touch a byte of a record or of its index row."""
    audio = (checks, limits, reading, writing)
    functions = (audit.fingerprint, encode_example, frame_record, extract)
    # A kind is computed by its class and by those that it extends.
    classes = {base for kind in KINDS for base in class_of_kind(kind).__mro__ if base is not object}
    return [
        *(Path(inspect.getfile(item)) for item in (*audio, *functions)),
        *sorted({Path(inspect.getfile(base)) for base in classes}),
        Path(__file__).with_name("writer.py"),
    ]


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that a feature's value can depend on."""
    return {
        **{name: version(name) for name in _LIBRARIES},
        "libsndfile": soundfile.__libsndfile_version__,
    }


def _lines(utterances: list[Utterance], root: Path) -> Iterator[bytes]:
    """Yields the lines of recordings, and takes these out of the list."""
    utterances.reverse()
    while utterances:
        utterance = utterances.pop()
        path = os.fspath(utterance.path)
        yield Source(utterance, _relative(path, root), "", _num_bytes(path) or 0).to_line()


def _relative(path: str, root: Path) -> str:
    # What `relpath` would say, where no more than the folder's name is to be taken off.
    inside = path.removeprefix(f"{root}/")
    if inside != path and ".." not in inside:
        return inside
    return Path(os.path.relpath(path, root)).as_posix()


def _num_bytes(path: str | Path) -> int | None:
    """Returns the size of a regular file, None where there is none to be read."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _hashed(source: Source) -> Source:
    return replace(source, sha256=file_sha256(source.utterance.path))


def _said(utterance: Utterance) -> dict[str, Any]:
    return {name: getattr(utterance, name) for name in _SAID}
