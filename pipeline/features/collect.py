"""What a job's workers left behind: gathered, held against what was asked, written down.

One shard's report is read at a time. What it says goes to the disk, and from there into the set's
files in the order of the keys: all recordings together are never in memory.
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

from pipeline.features.recordings import Source, shard_name, source_fingerprint
from pipeline.features.writer import REPORT_SUFFIX, SHARD_SUFFIX, DeadLetter, ShardReport
from ser_keras.data.feature_set import DEAD_LETTERS, INDEX, MANIFEST, SCHEMA, IndexRow
from ser_keras.data.schema import Schema
from ser_keras.errors import CorpusError, SerError
from ser_keras.files import replacing


@dataclass(frozen=True)
class Outcome:
    """All shards of an attempt together.

    Args:
        shards: one row per shard file, in order: name, records, bytes, sha256.
        counters: recordings by what became of them: seen, ok, dead_<kind>.
        seconds_audio: float. Length of what was used.
        source_fingerprint: str. Of the recordings as the workers read them; a file may have changed
            since it was listed.
        files: mapping of index and dead letters, which are written, to their hashes.
    """

    shards: tuple[dict[str, Any], ...]
    counters: Mapping[str, int]
    seconds_audio: float
    source_fingerprint: str
    files: Mapping[str, str]


def collect(
    folder: Path, sources: Sequence[Source], places: Mapping[int, Sequence[int]], num_shards: int
) -> Outcome:
    """Gathers the reports of an attempt and writes index and dead letters, sorted by key.

    Args:
        folder: Path of the attempt.
        sources: all recordings, sorted by key.
        places: where among `sources` those of each shard stand.
        num_shards: int.

    Raises:
        SerError: a shard is missing or of another size, or a recording is not in exactly one place.
            That is a fault of the runner or of the disk, not of the data.
    """
    shards: list[dict[str, Any]] = []
    dead: Counter[str] = Counter()
    wrong: list[str] = []
    with TemporaryFile(dir=folder) as stream:
        spool = _Spool(stream, len(sources))
        for shard, of_shard in places.items():
            report = _read_report(folder, shard_name(shard, num_shards))
            results: list[IndexRow | DeadLetter] = [*report.rows, *report.dead]
            results.sort(key=lambda result: result.key)
            wrong += _lost_or_doubled(results, [sources[place] for place in of_shard])
            for place, result in zip(of_shard, results, strict=False):
                spool.put(place, _line(result))
            dead.update(f"dead_{letter.kind}" for letter in report.dead)
            row = {"name": report.name, "records": len(report.rows)}
            shards.append({**row, "bytes": report.bytes, "sha256": report.sha256})
        ok = sum(shard["records"] for shard in shards)
        if wrong:
            raise SerError(
                f"{folder}: found {ok} records and {dead.total()} dead letters for "
                f"{len(sources)} recordings; {len(wrong)} are lost or doubled, such as {wrong[0]}. "
                "Nothing was published. Run the job again, with another runner if this persists."
            )
        counters = {"seen": ok + dead.total(), "ok": ok, **dict(sorted(dead.items()))}
        return Outcome(tuple(shards), counters, *_write_sorted(folder, sources, spool))


def read_dead_letters(path: Path) -> Iterator[DeadLetter]:
    """Yields the dead letters of a file, one per line, sorted by key."""
    with path.open("rb") as stream:
        for line in stream:
            yield DeadLetter(**json.loads(line))


def check_losses(
    sources: Sequence[Source], dead: Iterable[DeadLetter], max_bad_ratio: float
) -> str:
    """Says what is wrong with losing these recordings, or returns `""` where it can be borne.

    Args:
        sources: all recordings.
        dead: those that could not be used.
        max_bad_ratio: float. Largest bearable share of them.

    Returns:
        A clause without full stop. No class and no speaker may vanish, whatever the share.
    """
    lost = {letter.key for letter in dead}
    if not lost:
        return ""
    seen: set[tuple[str, str]] = set()
    kept: set[tuple[str, str]] = set()
    for source in sources:
        whose = {(what, getattr(source.utterance, what)) for what in ("label", "speaker")}
        seen |= whose
        if source.key not in lost:
            kept |= whose
    for what in ("label", "speaker"):
        gone = sorted(name for each, name in seen - kept if each == what)
        if gone:
            return f"nothing is left of {what} {', '.join(gone)}"
    if len(lost) > max_bad_ratio * len(sources):
        return f"at most {max_bad_ratio:.2%} may be lost (--max-bad-ratio)"
    return ""


def losses_error(where: str, num_sources: int, reason: str, letters: Path) -> CorpusError:
    """Returns the error for losses that cannot be borne.

    Args:
        where: what the error calls the corpus.
        num_sources: int. Number of all recordings.
        reason: what `check_losses` said.
        letters: where all dead letters are; at least one.
    """
    kinds = Counter(letter.kind for letter in read_dead_letters(letters))
    first = next(read_dead_letters(letters))
    return CorpusError(
        f"{where}: found {kinds.total()} of {num_sources} recordings that cannot be used "
        f"({', '.join(f'{kind} {count}' for kind, count in kinds.most_common())}), and {reason}. "
        f"First: {first.message} All are listed in {letters}. Nothing was published."
    )


def write_set(folder: Path, outcome: Outcome, schema: Schema, facts: Mapping[str, Any]) -> None:
    """Writes the schema and, last, the manifest beside what is there; removes everything else.

    Args:
        folder: Path of the attempt, with shards, index and dead letters in it.
        outcome: what they hold.
        schema: what the features are.
        facts: further entries of the manifest. Nothing in it may depend on when, where or by how
            many workers it was made, so that equal sets are equal files.
    """
    files = {**outcome.files, SCHEMA: _write(folder / SCHEMA, schema.to_json())}
    manifest = {
        **facts,
        "num_records": outcome.counters["ok"],
        "num_dead": outcome.counters["seen"] - outcome.counters["ok"],
        "shards": outcome.shards,
        "counters": {**outcome.counters, "seconds_audio": outcome.seconds_audio},
        "files": files,
    }
    _write(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    wanted = {MANIFEST, *files, *(shard["name"] for shard in outcome.shards)}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


class _Spool:
    """Lines in a file, written in any order and read in that of their places."""

    def __init__(self, stream: IO[bytes], count: int):
        self.stream = stream
        self.offsets = array("Q", bytes(8 * count))

    def put(self, place: int, line: bytes) -> None:
        self.offsets[place] = self.stream.tell()
        self.stream.write(line)

    def __iter__(self) -> Iterator[bytes]:
        for offset in self.offsets:
            self.stream.seek(offset)
            yield self.stream.readline()


def _lost_or_doubled(
    results: Iterable[IndexRow | DeadLetter], expected: Iterable[Source]
) -> list[str]:
    found = Counter(result.key for result in results)
    asked = Counter(source.key for source in expected)
    return [*(found - asked).elements(), *(asked - found).elements()]


def _line(result: IndexRow | DeadLetter) -> bytes:
    said = asdict(result) if isinstance(result, DeadLetter) else result.to_dict()
    return json.dumps(said, sort_keys=True).encode() + b"\n"


def _write_sorted(
    folder: Path, sources: Iterable[Source], lines: Iterable[bytes]
) -> tuple[float, str, dict[str, str]]:
    """Writes index and dead letters; returns seconds, fingerprint and files of an `Outcome`."""
    seconds = array("d")
    digests = {name: hashlib.sha256() for name in (INDEX, DEAD_LETTERS)}
    with replacing(folder / INDEX) as index, replacing(folder / DEAD_LETTERS) as letters:

        def as_read() -> Iterator[Source]:
            for source, line in zip(sources, lines, strict=True):
                result = json.loads(line)
                dead = "stage" in result
                (letters if dead else index).write(line)
                digests[DEAD_LETTERS if dead else INDEX].update(line)
                if not dead:
                    seconds.append(result["duration_s"])
                yield replace(source, sha256=result["sha256" if dead else "source_sha256"])

        fingerprint = source_fingerprint(as_read())
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


def _write(path: Path, text: str) -> str:
    data = text.encode()
    with replacing(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()
