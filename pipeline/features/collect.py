"""Collects the shards' reports of a feature job, checks them and writes the set's files.

One report is read at a time. Its rows go to a temporary file, and from there into the set's files
in the order of the keys, so that the rows of all recordings are never in memory together.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from pipeline.features.recordings import Recording, recordings_fingerprint, shard_name
from pipeline.features.writer import REPORT_SUFFIX, SHARD_SUFFIX, DeadLetter, ShardReport
from ser_keras.data.feature_set import DEAD_LETTERS, INDEX, MANIFEST, SCHEMA, IndexRow
from ser_keras.data.schema import Schema
from ser_keras.errors import CorpusError, SerError
from ser_keras.files import parse_json, replacing


@dataclass(frozen=True)
class CollectedShards:
    """All shards of a job.

    Args:
        shards: one row per shard file, in order: name, records, bytes, sha256.
        counters: numbers of recordings: seen, ok, dead_<kind>.
        seconds_audio: float. Total duration of the records.
        source_fingerprint: str. Fingerprint of the recordings as the workers read them; a file may
            have changed since it was listed.
        files: mapping of the names of index and dead letters to the hashes of their files.
    """

    shards: tuple[dict[str, Any], ...]
    counters: Mapping[str, int]
    seconds_audio: float
    source_fingerprint: str
    files: Mapping[str, str]


def collect(
    folder: Path,
    recordings: Sequence[Recording],
    positions: Mapping[int, Sequence[int]],
    num_shards: int,
) -> CollectedShards:
    """Collects the shards' reports and writes index and dead letters, sorted by key.

    Args:
        folder: Path of the staging folder.
        recordings: all recordings, sorted by key.
        positions: positions of each shard's recordings in the list.
        num_shards: int.

    Raises:
        SerError: a shard is missing or of another size, or a recording does not occur exactly once.
            That is a fault of the runner or of the disk, not of the data.
    """
    shards: list[dict[str, Any]] = []
    dead: Counter[str] = Counter()
    lost_or_doubled: list[str] = []
    with TemporaryFile(dir=folder) as stream:
        spool = _LineSpool(stream, len(recordings))
        for shard, of_shard in positions.items():
            report = _read_report(folder, shard_name(shard, num_shards))
            results: list[IndexRow | DeadLetter] = [*report.rows, *report.dead]
            results.sort(key=lambda result: result.key)
            lost_or_doubled += _lost_or_doubled(results, [recordings[n] for n in of_shard])
            for position, result in zip(of_shard, results, strict=False):
                spool.put(position, _line(result))
            dead.update(f"dead_{letter.kind}" for letter in report.dead)
            row = {"name": report.name, "records": len(report.rows)}
            shards.append({**row, "bytes": report.bytes, "sha256": report.sha256})
        ok = sum(shard["records"] for shard in shards)
        if lost_or_doubled:
            raise SerError(
                f"{folder}: found {ok} records and {dead.total()} dead letters for "
                f"{len(recordings)} recordings; {len(lost_or_doubled)} are lost or doubled, such "
                f"as {lost_or_doubled[0]}. "
                "Nothing was published. Run the job again, with another runner if this persists."
            )
        counters = {"seen": ok + dead.total(), "ok": ok, **dict(sorted(dead.items()))}
        return CollectedShards(tuple(shards), counters, *_write_sorted(folder, recordings, spool))


def read_dead_letters(path: Path) -> Iterator[DeadLetter]:
    """Yields the dead letters of a file, one per line, sorted by key."""
    with path.open("rb") as stream:
        for line in stream:
            yield DeadLetter(**parse_json(line))


def check_losses(
    recordings: Sequence[Recording], dead: Iterable[DeadLetter], max_bad_ratio: float
) -> str:
    """Returns why the loss of these recordings is not accepted, or `""` if it is.

    Args:
        recordings: all recordings.
        dead: those that could not be used.
        max_bad_ratio: float. Largest accepted share of them.

    Returns:
        A clause without a full stop. No label and no speaker may vanish, whatever the share.
    """
    lost = {letter.key for letter in dead}
    if not lost:
        return ""
    seen: set[tuple[str, str]] = set()
    kept: set[tuple[str, str]] = set()
    for recording in recordings:
        groups = {(kind, getattr(recording.utterance, kind)) for kind in ("label", "speaker")}
        seen |= groups
        if recording.key not in lost:
            kept |= groups
    for kind in ("label", "speaker"):
        gone = sorted(name for group_kind, name in seen - kept if group_kind == kind)
        if gone:
            return f"nothing is left of {kind} {', '.join(gone)}"
    if len(lost) > max_bad_ratio * len(recordings):
        return f"at most {max_bad_ratio:.2%} may be lost (--max-bad-ratio)"
    return ""


def losses_error(where: str, num_recordings: int, reason: str, letters: Path) -> CorpusError:
    """Returns the error for losses that are not accepted.

    Args:
        where: name of the corpus in the message.
        num_recordings: int. Number of all recordings.
        reason: the result of `check_losses`.
        letters: file with all dead letters, at least one.
    """
    kinds = Counter(letter.kind for letter in read_dead_letters(letters))
    first = next(read_dead_letters(letters))
    return CorpusError(
        f"{where}: found {kinds.total()} of {num_recordings} recordings that cannot be used "
        f"({', '.join(f'{kind} {count}' for kind, count in kinds.most_common())}), and {reason}. "
        f"First: {first.message} All are listed in {letters}. Nothing was published."
    )


def write_set(
    folder: Path, collected: CollectedShards, schema: Schema, facts: Mapping[str, Any]
) -> None:
    """Writes the schema and then the manifest; removes all files that do not belong to the set.

    Args:
        folder: Path of the staging folder, with shards, index and dead letters in it.
        collected: what they hold.
        schema: description of the features.
        facts: further entries of the manifest. They must not depend on the time, the place or the
            number of workers, so that equal sets are equal files.
    """
    files = {**collected.files, SCHEMA: _write_text(folder / SCHEMA, schema.to_json())}
    manifest = {
        **facts,
        "num_records": collected.counters["ok"],
        "num_dead": collected.counters["seen"] - collected.counters["ok"],
        "shards": collected.shards,
        "counters": {**collected.counters, "seconds_audio": collected.seconds_audio},
        "files": files,
    }
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    wanted = {MANIFEST, *files, *(shard["name"] for shard in collected.shards)}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


class _LineSpool:
    """A file of lines that are written in any order and read in the order of their positions."""

    def __init__(self, stream: IO[bytes], count: int):
        self.stream = stream
        self.offsets = array("Q", bytes(8 * count))

    def put(self, position: int, line: bytes) -> None:
        self.offsets[position] = self.stream.tell()
        self.stream.write(line)

    def __iter__(self) -> Iterator[bytes]:
        for offset in self.offsets:
            self.stream.seek(offset)
            yield self.stream.readline()


def _lost_or_doubled(
    results: Iterable[IndexRow | DeadLetter], expected: Iterable[Recording]
) -> list[str]:
    result_keys = Counter(result.key for result in results)
    expected_keys = Counter(recording.key for recording in expected)
    return [
        *(result_keys - expected_keys).elements(),
        *(expected_keys - result_keys).elements(),
    ]


def _line(result: IndexRow | DeadLetter) -> bytes:
    values = asdict(result) if isinstance(result, DeadLetter) else result.to_dict()
    return json.dumps(values, sort_keys=True).encode() + b"\n"


def _write_sorted(
    folder: Path, recordings: Iterable[Recording], lines: Iterable[bytes]
) -> tuple[float, str, dict[str, str]]:
    """Writes index and dead letters; returns the last three fields of `CollectedShards`."""
    seconds = array("d")
    digests = {name: hashlib.sha256() for name in (INDEX, DEAD_LETTERS)}
    with replacing(folder / INDEX) as index, replacing(folder / DEAD_LETTERS) as letters:

        def write_lines() -> Iterator[Recording]:
            """Writes every line; yields the recordings with the hashes that the workers read."""
            for recording, line in zip(recordings, lines, strict=True):
                result = parse_json(line)
                is_dead = "stage" in result
                (letters if is_dead else index).write(line)
                digests[DEAD_LETTERS if is_dead else INDEX].update(line)
                if not is_dead:
                    seconds.append(result["duration_s"])
                yield replace(recording, sha256=result["sha256" if is_dead else "source_sha256"])

        fingerprint = recordings_fingerprint(write_lines())
    files = {name: digest.hexdigest() for name, digest in digests.items()}
    return round(sum(seconds), 3), fingerprint, files


def _read_report(folder: Path, name: str) -> ShardReport:
    shard = folder / (name + SHARD_SUFFIX)
    try:
        report = ShardReport.from_json((folder / (name + REPORT_SUFFIX)).read_text())
        size = shard.stat().st_size
    except OSError as error:
        raise SerError(
            f"{shard}: the shard was not finished ({error.strerror}), expected it after the job. "
            "Nothing was published. Every worker must see the output folder; run the job again."
        ) from None
    if size != report.bytes:
        raise SerError(
            f"{shard}: found {size} bytes, expected {report.bytes}. Nothing was published. Check "
            "the disk and run the job again."
        )
    return report


def _write_text(path: Path, text: str) -> str:
    data = text.encode()
    with replacing(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()
