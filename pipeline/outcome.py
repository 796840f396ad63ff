"""What a job's workers left behind: gathered, held against what was asked, written down."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.attempt import replacing
from pipeline.sources import Source, group_sizes
from pipeline.transforms import REPORT_SUFFIX, SHARD_SUFFIX, DeadLetter, ShardReport
from ser_keras.data.feature_set import DEAD_LETTERS, INDEX, MANIFEST, SCHEMA, IndexRow
from ser_keras.data.schema import Schema
from ser_keras.errors import CorpusError, SerError


@dataclass(frozen=True)
class Outcome:
    """All shards of an attempt together.

    Args:
        shards: one row per shard file, in order: name, records, bytes, sha256.
        rows: index rows, sorted by key.
        dead: dead letters, sorted by key.
    """

    shards: tuple[dict[str, Any], ...]
    rows: tuple[IndexRow, ...]
    dead: tuple[DeadLetter, ...]

    @property
    def counters(self) -> dict[str, int]:
        """Recordings by what became of them: seen, ok, dead_<kind>."""
        kinds = Counter(f"dead_{letter.kind}" for letter in self.dead)
        seen = len(self.rows) + len(self.dead)
        return {"seen": seen, "ok": len(self.rows), **dict(sorted(kinds.items()))}

    @property
    def sha256_of(self) -> dict[str, str]:
        """Hash of each recording's file, as the workers read it."""
        read = {row.key: row.source_sha256 for row in self.rows}
        return read | {letter.key: letter.sha256 for letter in self.dead}


def collect(folder: Path, sources: Sequence[Source], num_shards: int) -> Outcome:
    """Gathers the reports of an attempt and checks that every source is in exactly one place.

    Raises:
        SerError: a shard is missing or of another size, or a recording is lost or doubled. That is
            a fault of the runner or of the disk, not of the data.
    """
    reports = [_read_report(folder, name) for name in group_sizes(sources, num_shards)]
    rows = sorted((row for report in reports for row in report.rows), key=lambda row: row.key)
    dead = sorted((row for report in reports for row in report.dead), key=lambda row: row.key)
    found = Counter([row.key for row in rows] + [letter.key for letter in dead])
    wrong = [key for key, count in found.items() if count > 1]
    wrong += sorted({source.key for source in sources} ^ set(found))
    if wrong:
        raise SerError(
            f"{folder}: found {len(rows)} records and {len(dead)} dead letters for "
            f"{len(sources)} recordings; {len(wrong)} are lost or doubled, such as {wrong[0]}. "
            "Nothing was published. Run the job again, with another runner if this persists."
        )
    shards = tuple(
        {"name": r.name, "records": len(r.rows), "bytes": r.bytes, "sha256": r.sha256}
        for r in reports
    )
    return Outcome(shards, tuple(rows), tuple(dead))


def check_losses(
    sources: Sequence[Source], dead: Sequence[DeadLetter], max_bad_ratio: float
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
    kept = [source.utterance for source in sources if source.key not in lost]
    for what in ("label", "speaker"):
        all_of = {getattr(source.utterance, what) for source in sources}
        gone = sorted(all_of - {getattr(utterance, what) for utterance in kept})
        if gone:
            return f"nothing is left of {what} {', '.join(gone)}"
    if len(dead) > max_bad_ratio * len(sources):
        return f"at most {max_bad_ratio:.2%} may be lost (--max-bad-ratio)"
    return ""


def losses_error(
    where: str, sources: Sequence[Source], dead: Sequence[DeadLetter], reason: str, letters: Path
) -> CorpusError:
    """Returns the error for losses that cannot be borne.

    Args:
        where: what the error calls the corpus.
        sources: all recordings.
        dead: those that could not be used; at least one.
        reason: what `check_losses` said.
        letters: where all dead letters are.
    """
    kinds = Counter(letter.kind for letter in dead).most_common()
    return CorpusError(
        f"{where}: found {len(dead)} of {len(sources)} recordings that cannot be used "
        f"({', '.join(f'{kind} {count}' for kind, count in kinds)}), and {reason}. "
        f"First: {dead[0].message} All are listed in {letters}. Nothing was published."
    )


def write_dead_letters(path: Path, dead: Sequence[DeadLetter]) -> str:
    """Writes one JSON line per dead letter; returns the file's hash."""
    return _write_lines(path, [asdict(letter) for letter in dead])


def write_set(folder: Path, outcome: Outcome, schema: Schema, facts: Mapping[str, Any]) -> None:
    """Writes index, dead letters, schema and, last, the manifest; removes everything else.

    Args:
        folder: Path of the attempt, with the shards in it.
        outcome: what the shards hold.
        schema: what the features are.
        facts: further entries of the manifest. Nothing in it may depend on when, where or by how
            many workers it was made, so that equal sets are equal files.
    """
    files = {
        INDEX: _write_lines(folder / INDEX, [row.to_dict() for row in outcome.rows]),
        DEAD_LETTERS: write_dead_letters(folder / DEAD_LETTERS, outcome.dead),
        SCHEMA: _write(folder / SCHEMA, schema.to_json()),
    }
    seconds = round(sum(row.duration_s for row in outcome.rows), 3)
    manifest = {
        **facts,
        "num_records": len(outcome.rows),
        "num_dead": len(outcome.dead),
        "shards": outcome.shards,
        "counters": outcome.counters | {"seconds_audio": seconds},
        "files": files,
    }
    _write(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    wanted = {MANIFEST, *files, *(shard["name"] for shard in outcome.shards)}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


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


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    return _write(path, "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))


def _write(path: Path, text: str) -> str:
    data = text.encode()
    with replacing(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()
