"""A finished feature set on disk, which is all that training knows about its features.

The feature job writes this tree, which appears complete or not at all::

    <output>/LATEST                      name of the newest set
    <output>/3f2a.../manifest.json       shards with sizes and hashes, counts, versions
                     schema.json         what the features are
                     index.jsonl         one row per record, sorted by key
                     dead_letters.jsonl  one row per recording that could not be used
                     part-00000-of-00008.tfrecord ...

Readers take the names of shards from the manifest, never from a pattern.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ser_keras.data.schema import Schema
from ser_keras.errors import SchemaError
from ser_keras.files import parse_json, plain_name

LATEST = "LATEST"
MANIFEST = "manifest.json"
SCHEMA = "schema.json"
INDEX = "index.jsonl"
DEAD_LETTERS = "dead_letters.jsonl"

_REMEDY = "Make the features again with `ser features`."


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One record without its features, as protocols and the audit need it.

    Args:
        key, label, speaker, session, sentence, gender, style, split, corpus: str. As in
            `ser_keras.corpora.base.Utterance`.
        duration_s: float. Length of the recording.
        frames: int. Frames of the features.
        shard: str. Name of the file that holds the record.
        source_sha256: str. Hash of the recording's file.
        audio_sha256: str. Hash of the decoded audio, whatever its container.
        fingerprint: bytes. Finds near duplicates, see `ser_keras.audit.fingerprint`.
    """

    key: str
    label: str
    speaker: str
    session: str
    sentence: str
    gender: str
    style: str
    split: str
    corpus: str
    duration_s: float
    frames: int
    shard: str
    source_sha256: str
    audio_sha256: str
    fingerprint: bytes

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a row of `index.jsonl`; `from_dict` is the inverse."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "fingerprint": self.fingerprint.hex()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "IndexRow":
        """Returns the row that `to_dict` wrote.

        Raises:
            TypeError, KeyError, ValueError: the row is damaged.
        """
        return cls(**{**values, "fingerprint": bytes.fromhex(values["fingerprint"])})


@dataclass(frozen=True)
class FeatureSet:
    """A finished, complete feature set. Made by `FeatureSet.open`.

    Args:
        path: Path. The set's own folder.
        schema: Schema.
        manifest: mapping. Content of `manifest.json`.
        rows: tuple of IndexRow, sorted by key.
    """

    path: Path
    schema: Schema
    manifest: Mapping[str, Any]
    rows: tuple[IndexRow, ...]

    @classmethod
    def open(cls, path: str | Path) -> "FeatureSet":
        """Opens the set in `path`, or the newest set of the feature job's output folder `path`.

        Raises:
            SchemaError: nothing is there, the job has not finished, or a file is missing, has
                another size or a damaged index. Says which, and what to do.
        """
        folder, schema, manifest = _described(Path(path))
        rows = tuple(_read_rows(folder / INDEX, manifest))
        return cls(folder, schema, manifest, rows)

    @property
    def shard_paths(self) -> tuple[Path, ...]:
        """The TFRecord files."""
        return tuple(self.path / shard["name"] for shard in self.manifest["shards"])

    @property
    def dead_letters(self) -> tuple[dict[str, Any], ...]:
        """The recordings that could not be used: key, path, sha256, stage, kind, message, bytes."""
        path = self.path / DEAD_LETTERS
        try:
            return tuple(parse_json(line) for line in _read(path).decode().splitlines())
        except ValueError as error:
            raise SchemaError(f"{path}: is damaged ({error}). {_REMEDY}") from None

    def require(self, *, spec_name: str | None = None, dim: int | None = None) -> "FeatureSet":
        """Returns the set itself if it has these features.

        Args:
            spec_name: str. Name of the feature spec; None accepts any.
            dim: int. Values per frame; None accepts any.

        Raises:
            SchemaError: names the value found and the value expected.
        """
        for field, expected in (("spec_name", spec_name), ("dim", dim)):
            value = getattr(self.schema, field)
            if expected is not None and value != expected:
                raise SchemaError(
                    f"{self.path}: found features with {field} {value!r}, expected {expected!r}. "
                    "Give the features made with the other --spec, or make them with "
                    "`ser features`."
                )
        return self

    def verify(self) -> None:
        """Reads every shard and compares its hash with the manifest's.

        Raises:
            SchemaError: names the first shard whose content differs.
        """
        for path, shard in zip(self.shard_paths, self.manifest["shards"], strict=True):
            with path.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            if sha256 != shard["sha256"]:
                raise SchemaError(
                    f"{path}: found content with sha256 {sha256[:12]}..., expected "
                    f"{shard['sha256'][:12]}... The file was damaged after it was written. Remove "
                    f"{self.path} and make the features again with `ser features`."
                )


def check_set(path: str | Path) -> tuple[Schema, dict[str, Any]]:
    """Checks a set as `FeatureSet.open` does, with one row in memory at a time.

    Returns:
        (schema, content of `manifest.json`).

    Raises:
        SchemaError: as `FeatureSet.open`.
    """
    folder, schema, manifest = _described(Path(path))
    for _ in _read_rows(folder / INDEX, manifest):
        pass
    return schema, manifest


def _described(path: Path) -> tuple[Path, Schema, dict[str, Any]]:
    """Checks all of a set but its rows and returns its folder, schema and manifest."""
    folder = _set_folder(path)
    manifest = _read_manifest(folder / MANIFEST)
    for name in (*manifest["files"], *(shard["name"] for shard in manifest["shards"])):
        plain_name(name, f"{folder / MANIFEST}", SchemaError)
    for name, sha256 in manifest["files"].items():
        digest = hashlib.sha256()
        for line in _lines(folder / name):
            digest.update(line)
        if digest.hexdigest() != sha256:
            raise SchemaError(
                f"{folder / name}: found other content than {MANIFEST} was written for "
                f"(sha256 {sha256[:12]}...). The file was damaged or edited. {_REMEDY}"
            )
    for shard in manifest["shards"]:
        _check_size(folder / shard["name"], shard["bytes"])
    return folder, Schema.from_json(_read(folder / SCHEMA).decode(), folder / SCHEMA), manifest


def _set_folder(path: Path) -> Path:
    if (path / MANIFEST).is_file():
        return path
    if (path / LATEST).is_file():
        name = plain_name(_read(path / LATEST).decode().strip(), f"{path / LATEST}", SchemaError)
        if (path / name / MANIFEST).is_file():
            return path / name
        raise SchemaError(
            f"{path / LATEST}: found the name {name!r}, expected that of a finished set in {path}. "
            f"The set was removed. {_REMEDY}"
        )
    if path.is_dir() and any(path.glob(".attempt-*")):
        raise SchemaError(
            f"{path}: found a feature job that has not finished, expected a finished set. Wait for "
            "it; if it was killed, run the same `ser features` command again."
        )
    missing = "no feature set" if path.is_dir() else "no folder"
    raise SchemaError(
        f"{path}: found {missing}, expected the output folder of `ser features`. Correct the path, "
        "or make the features first."
    )


def _read(path: Path) -> bytes:
    return b"".join(_lines(path))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            yield from stream
    except OSError as error:
        raise SchemaError(
            f"{path}: could not be read ({error.strerror}), expected a file of a feature set. "
            f"{_REMEDY}"
        ) from None


def _read_manifest(path: Path) -> dict[str, Any]:
    expected = {"fingerprint", "num_records", "num_dead", "shards", "files"}
    try:
        manifest = parse_json(_read(path))
        missing = expected - set(manifest)
    except (ValueError, TypeError):
        missing = expected
    if missing:
        raise SchemaError(
            f"{path}: found no {', '.join(sorted(missing))}, expected the manifest of a feature "
            f"set. The file was damaged, or is of another version. {_REMEDY}"
        )
    return manifest


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != expected:
        actual = "no such shard" if size is None else f"a shard of {size} bytes"
        raise SchemaError(f"{path}: found {actual}, expected {expected} bytes. {_REMEDY}")


def _read_rows(path: Path, manifest: Mapping[str, Any]) -> Iterator[IndexRow]:
    names, expected = {field.name for field in fields(IndexRow)}, manifest["num_records"]
    shards = {shard["name"] for shard in manifest["shards"]}
    number = 0
    for number, line in enumerate(_lines(path), 1):
        try:
            row = IndexRow.from_dict(parse_json(line))
        except (ValueError, TypeError, KeyError):
            raise SchemaError(
                f"{path}, line {number}: found no index row, expected JSON with the fields "
                f"{', '.join(sorted(names))}. {_REMEDY}"
            ) from None
        if row.shard not in shards:
            raise SchemaError(
                f"{path}, line {number}: found the shard {row.shard!r}, expected one of those that "
                f"{MANIFEST} lists. {_REMEDY}"
            )
        yield row
    if number != expected:
        raise SchemaError(f"{path}: found {number} rows, expected {expected}. {_REMEDY}")
