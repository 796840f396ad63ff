"""The recordings that a feature job reads, their hashes and shards, and the job's fingerprint.

A job's fingerprint is a hash of everything its result depends on. A finished set is therefore found
again by its name, and any change of a recording, a label, a spec, the code or a library leads to
another set.
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any, overload

import soundfile

from ser_keras import audio, audit
from ser_keras.corpora import read_corpus
from ser_keras.corpora.base import Utterance
from ser_keras.data.example import encode_example
from ser_keras.data.record_files import frame_record
from ser_keras.errors import CorpusError
from ser_keras.features.extract import extract
from ser_keras.features.specs import KINDS, class_of_kind

MIN_SHARDS = 8
SOURCE_BYTES_PER_SHARD = 64 * 2**20

# Each file that waits to be hashed takes a kilobyte of memory.
_HASHED_AT_ONCE = 256
_LIBRARIES = ("numpy", "scipy", "soundfile", "soxr")
_UTTERANCE_FIELDS = tuple(item.name for item in fields(Utterance))
_LINE_FIELDS = (*_UTTERANCE_FIELDS, "relative", "sha256", "num_bytes")
_ENCODER = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to be processed.

    Args:
        utterance: its entry in the corpus.
        path: str. Its file, relative to the corpus folder; messages name it by this path.
        sha256: str. Hash of the file, `""` if it cannot be read or has not been read yet.
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
        """Returns its values as a line of JSON, without names; `from_line` is the inverse."""
        utterance = {**_utterance_fields(self.utterance), "path": str(self.utterance.path)}
        values = [*utterance.values(), self.path, self.sha256, self.num_bytes]
        return json.dumps(values).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Recording":
        """Returns the recording that `to_line` wrote."""
        key, path, *further, relative, sha256, num_bytes = json.loads(line)
        return cls(Utterance(key, Path(path), *further), relative, sha256, num_bytes)


class RecordingList(Sequence[Recording]):
    """Recordings in memory as lines of JSON: 240 bytes instead of the 1300 of an object.

    Args:
        lines: the results of `Recording.to_line`.
    """

    def __init__(self, lines: Iterable[bytes]):
        self.lines = list(lines)

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Recording: ...

    @overload
    def __getitem__(self, index: slice) -> "RecordingList": ...

    def __getitem__(self, index: int | slice) -> "Recording | RecordingList":
        if isinstance(index, slice):
            return RecordingList(self.lines[index])
        return Recording.from_line(self.lines[index])

    def column(self, name: str) -> Iterator[Any]:
        """Yields one field of every recording, three times faster than whole recordings.

        Args:
            name: str. Field of an utterance, or `"num_bytes"`.
        """
        position = _LINE_FIELDS.index(name)
        return (json.loads(line)[position] for line in self.lines)


def list_recordings(
    corpus: str, data_dir: Path, *, allow_partial: bool = False, allow_outside: bool = False
) -> RecordingList:
    """Returns the recordings of a corpus with their hashes; see `find_recordings`."""
    recordings = find_recordings(
        corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside
    )
    return RecordingList(recording.to_line() for recording in with_hashes(recordings))


def find_recordings(
    corpus: str, data_dir: Path, *, allow_partial: bool = False, allow_outside: bool = False
) -> RecordingList:
    """Reads the list of a corpus's recordings, but not their files.

    Returns:
        Recordings without hashes, sorted by key.

    Raises:
        ConfigError: an unknown corpus.
        CorpusError: the reader refuses the folder, or two recordings have the same key.
    """
    utterances = read_corpus(
        corpus, data_dir, allow_partial=allow_partial, allow_outside=allow_outside
    )
    utterances = sorted(utterances, key=lambda utterance: utterance.key)
    for utterance, following in itertools.pairwise(utterances):
        if utterance.key == following.key:
            raise CorpusError(
                f"{corpus} at {data_dir}: found the key {utterance.key} twice ({utterance.path} "
                f"and {following.path}), expected it once. Remove or rename one of the two."
            )
    root = data_dir if data_dir.is_dir() else data_dir.parent
    recordings = RecordingList(_recording_lines(utterances, root))
    # Empties Python's free lists, which otherwise keep most of the utterances' memory.
    gc.collect()
    return recordings


def with_hashes(recordings: RecordingList) -> Iterator[Recording]:
    """Reads the recordings' files and yields the recordings with their hashes, in order."""
    # Hashing waits for the disk and releases the GIL, so more threads than cores help.
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        for first in range(0, len(recordings), _HASHED_AT_ONCE):
            yield from pool.map(_with_hash, recordings[first : first + _HASHED_AT_ONCE])


def file_sha256(path: Path) -> str:
    """Returns the hash of a regular file's content, or `""` if it cannot be read."""
    # A named pipe would block forever.
    if _num_bytes(path) is None:
        return ""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def choose_num_shards(sizes: Iterable[int]) -> int:
    """Returns the number of shards for recordings of these sizes, independent of the machine.

    Args:
        sizes: int. Bytes of each recording.

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
    """Returns a shard's file name without its suffix.

    Example:
        >>> shard_name(3, 8)
        'part-00003-of-00008'
    """
    return f"part-{index:05}-of-{num_shards:05}"


def recordings_fingerprint(recordings: Iterable[Recording]) -> str:
    """Returns a hash of the recordings and their labels, independent of the folder."""
    # The hash of one JSON list, which is never in memory as a whole.
    digest = hashlib.sha256(b"[")
    for number, recording in enumerate(recordings):
        values = {
            **_utterance_fields(recording.utterance),
            "path": recording.path,
            "sha256": recording.sha256,
        }
        digest.update(b", " * (number > 0) + _ENCODER.encode(values).encode())
    digest.update(b"]")
    return digest.hexdigest()


def fingerprint(
    of_recordings: str, settings: Mapping[str, Any], libraries: Sequence[str] = ()
) -> str:
    """Returns the fingerprint of a job's result.

    Args:
        of_recordings: str. The result of `recordings_fingerprint`.
        settings: mapping, ready for JSON. Spec, names, limits, number of shards.
        libraries: packages that the spec needs beside the usual ones.
    """
    depends_on = {
        "sources": of_recordings,
        "settings": settings,
        "versions": library_versions(libraries),
        "code": [file_sha256(path) for path in code_paths()],
    }
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def code_paths() -> list[Path]:
    """Returns the modules whose code can change a byte of a record or of its index row."""
    decoding = sorted(Path(inspect.getfile(audio)).parent.glob("*.py"))
    functions = (audit.fingerprint, encode_example, frame_record, extract)
    # A kind is computed by its class and by those that it extends.
    classes = {base for kind in KINDS for base in class_of_kind(kind).__mro__ if base is not object}
    return [
        *decoding,
        *(Path(inspect.getfile(item)) for item in functions),
        *sorted({Path(inspect.getfile(base)) for base in classes}),
        Path(__file__).with_name("writer.py"),
    ]


def library_versions(libraries: Sequence[str] = ()) -> dict[str, str]:
    """Returns the versions of the libraries that a feature's value can depend on.

    Args:
        libraries: packages that the spec needs beside the usual ones. One that is missing is left
            out: the spec's `compute` says how to install it.
    """
    installed = {name for name in libraries if find_spec(name)}
    return {
        **{name: version(name) for name in (*_LIBRARIES, *sorted(installed))},
        "libsndfile": soundfile.__libsndfile_version__,
    }


def _recording_lines(utterances: list[Utterance], root: Path) -> Iterator[bytes]:
    """Yields the lines of recordings, and removes each from the list to free its memory."""
    utterances.reverse()
    while utterances:
        utterance = utterances.pop()
        path = os.fspath(utterance.path)
        yield Recording(utterance, _relative_path(path, root), "", _num_bytes(path) or 0).to_line()


def _relative_path(path: str, root: Path) -> str:
    # The result of `relpath`, but faster when only the folder's name has to be removed.
    inside = path.removeprefix(f"{root}/")
    if inside != path and ".." not in inside:
        return inside
    return Path(os.path.relpath(path, root)).as_posix()


def _num_bytes(path: str | Path) -> int | None:
    """Returns the size of a regular file, None if there is none that can be read."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _with_hash(recording: Recording) -> Recording:
    return replace(recording, sha256=file_sha256(recording.utterance.path))


def _utterance_fields(utterance: Utterance) -> dict[str, Any]:
    return {name: getattr(utterance, name) for name in _UTTERANCE_FIELDS}
