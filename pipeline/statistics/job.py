"""The statistics job: a feature set, and its recordings where they are at hand, into one file.

Each shard is summarised where it lies; what moves between workers are sums of a few kilobytes. They
are added along a tree that the shards' numbers fix, so that the file is the same, byte for byte,
whatever the runner and the number of workers.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from pipeline.beam.run import Progress, run_graph, watching
from pipeline.publishing.staged_output import StagedOutput
from pipeline.statistics.combiners import InOrderFn
from pipeline.statistics.file import FORMAT, STATISTICS, as_json
from pipeline.statistics.summary import DataSummary, Shard, summarize_shard
from ser_keras.audit import duplicate_groups
from ser_keras.corpora import read_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.files import replacing

# Beyond so many, copies are found by their content alone: comparing all with all by ear takes the
# square of their number, half a minute for these.
MOST_BY_EAR = 20_000

_DONE = ".done"
_PART = "sums.json"


def run_statistics(
    features: str | Path,
    output: str | Path,
    beam_args: Sequence[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
    *,
    data_dir: str | Path | None = None,
) -> Path:
    """Writes `<output>/statistics.json` of a feature set and returns that path.

    Args:
        features: output folder of the feature job, or a set's own folder.
        output: folder; made if it is not there.
        beam_args: options for Beam.
        workers: int. Processes on this machine, where `beam_args` name no other runner.
        progress: called with ("statistics", shards done, shards), then ("comparing", 0, 0).
        data_dir: folder of the corpus. Silence and clipping are heard in its recordings; without it
            the file holds none.

    Raises:
        ConfigError: an option that cannot be.
        SchemaError: no finished feature set, or a damaged one.
        CorpusError: there is no such corpus in `data_dir`.
        SerError: the runner failed.
    """
    output = Path(output)
    if workers < 1 or (output.exists() and not output.is_dir()):
        raise ConfigError(
            f"statistics: found {workers} workers and the output {output}, expected at least one "
            "worker and a folder. Correct --workers or --output."
        )
    found = FeatureSet.open(features)
    shards = _shards(found, Path(data_dir) if data_dir else None)
    report = progress if progress is not None else lambda step, done, total: None
    path = output / STATISTICS
    try:
        with StagedOutput(output) as staged:
            sums = _sums(shards, staged.path.absolute(), workers, beam_args, report)
        report("comparing", 0, 0)
        content = as_json(_described(found, sums, heard=data_dir is not None))
        with replacing(path) as stream:
            stream.write(content)
    except OSError as error:
        raise SerError(
            f"statistics job in {output}: stopped by {error.strerror or error} "
            f"({error.filename or 'no file'}). Nothing was published. Make room or mend the "
            "folder, and run the same command again."
        ) from error
    return path


def _shards(found: FeatureSet, data_dir: Path | None) -> list[Shard]:
    rows: dict[str, list[Any]] = {}
    for row in found.rows:
        rows.setdefault(row.shard, []).append(row)
    if not rows:
        raise SchemaError(
            f"{found.path}: found no records, expected some. Make the features again with "
            "`ser features`."
        )
    paths: dict[str, str] = {}
    if data_dir:
        # Absolute, because a worker's current folder is its own.
        corpus = read_corpus(found.schema.corpus, data_dir.absolute(), allow_partial=True)
        paths = {utterance.key: str(utterance.path) for utterance in corpus}
    return [
        Shard(
            number,
            str(found.path.absolute() / name),
            tuple(rows[name]),
            {row.key: paths.get(row.key, "") for row in rows[name]} if data_dir else {},
        )
        for number, name in enumerate(sorted(rows))
    ]


def _sums(
    shards: Sequence[Shard], folder: Path, workers: int, beam_args: Sequence[str], report: Progress
) -> dict[str, Any]:
    """Runs the graph in an attempt's folder; returns the sums that it left there."""
    with watching("statistics", lambda: _done(folder), len(shards), report):
        run_graph(
            lambda pipeline: _build(pipeline, shards, str(folder)),
            f"statistics job in {folder.parent}",
            folder,
            workers,
            beam_args,
        )
    sums: dict[str, Any] = json.loads((folder / _PART).read_text(encoding="utf-8"))
    return sums


def _build(pipeline: beam.Pipeline, shards: Sequence[Shard], folder: str) -> None:
    (
        pipeline
        | "List shards" >> beam.Create(shards, reshuffle=False)
        # Otherwise one worker would get them all, fused with the list.
        | "Spread shards" >> beam.Reshuffle()
        | "Summarize shard" >> beam.Map(_summarized, folder)
        | "Add up" >> beam.CombineGlobally(InOrderFn()).without_defaults()
        | "Write sums" >> beam.Map(_write, folder)
    )


def _summarized(shard: Shard, folder: str) -> tuple[int, DataSummary]:
    summary = summarize_shard(shard)
    (Path(folder) / f"{shard.number}{_DONE}").touch()
    return shard.number, summary


def _write(summary: DataSummary, folder: str) -> None:
    with replacing(Path(folder) / _PART) as stream:
        stream.write(as_json(summary.to_dict()))


def _done(folder: Path) -> int:
    return sum(1 for _ in folder.glob(f"*{_DONE}"))


def _described(found: FeatureSet, sums: Mapping[str, Any], *, heard: bool) -> dict[str, Any]:
    """Returns the file's content: what was measured and of what; no path, no time, no machine."""
    if sums["utterances"] != len(found.rows):
        raise SerError(
            f"statistics of {found.path}: found {sums['utterances']} utterances in the sums, "
            f"expected {len(found.rows)}. Nothing was published. Run the job again, with another "
            "runner if this persists."
        )
    by_ear = len(found.rows) <= MOST_BY_EAR
    copies = duplicate_groups(found.rows, near=by_ear)
    return {
        "format": FORMAT,
        "data": {
            "fingerprint": found.manifest["fingerprint"],
            "name": found.schema.name,
            "corpus": found.schema.corpus,
            "spec_name": found.schema.spec_name,
            "sample_rate_hz": found.schema.spec["sample_rate_hz"],
            "dim": found.schema.dim,
            "dtype": "float32",
        },
        "listened": heard,
        "dead": dict(Counter(letter["kind"] for letter in found.dead_letters)),
        "copies": [list(group) for group in copies],
        "copies_found_by": "ear" if by_ear else "content",
        **sums,
    }
