"""The statistics job: summarizes a feature set, and its recordings if they are given.

A worker summarizes each shard, and only sums of a few kilobytes move between workers. They are
added along a tree that depends only on the shards' numbers, so that the file is the same, byte for
byte, whatever the runner and the number of workers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from pipeline.beam.run import Progress, run_graph, watching
from pipeline.publishing.staged_output import StagedOutput
from pipeline.statistics.combiners import OrderedSumFn
from pipeline.statistics.file import FORMAT, STATISTICS, as_json
from pipeline.statistics.summary import DataSummary, Shard, summarize_shard
from ser_keras.audit import duplicate_groups
from ser_keras.corpora import read_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.files import parse_json, replacing

_DONE_SUFFIX = ".done"
_SUMS = "sums.json"


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
        output: folder; created if it does not exist.
        beam_args: options for Beam.
        workers: int. Processes on this machine, unless `beam_args` name another runner.
        progress: called with ("statistics", shards done, shards), then ("comparing", 0, 0).
        data_dir: folder of the corpus. Silence and clipping are measured in its recordings; without
            it the file has neither.

    Raises:
        ConfigError: an invalid option.
        SchemaError: no finished feature set, or a damaged one.
        CorpusError: the corpus is not in `data_dir`.
        SerError: the runner failed.
    """
    output = Path(output)
    if workers < 1 or (output.exists() and not output.is_dir()):
        raise ConfigError(
            f"statistics: found {workers} workers and the output {output}, expected at least one "
            "worker and a folder. Correct --workers or --output."
        )
    feature_set = FeatureSet.open(features)
    shards = _shards(feature_set, Path(data_dir) if data_dir else None)
    report = progress if progress is not None else lambda step, done, total: None
    path = output / STATISTICS
    try:
        with StagedOutput(output) as staged:
            sums = _compute_sums(shards, staged.path.absolute(), workers, beam_args, report)
        report("comparing", 0, 0)
        content = as_json(_file_content(feature_set, sums, measured=data_dir is not None))
        with replacing(path) as stream:
            stream.write(content)
    except OSError as error:
        raise SerError(
            f"statistics job in {output}: stopped by {error.strerror or error} "
            f"({error.filename or 'no file'}). Nothing was published. Make room or mend the "
            "folder, and run the same command again."
        ) from error
    return path


def _shards(feature_set: FeatureSet, data_dir: Path | None) -> list[Shard]:
    rows: dict[str, list[Any]] = {}
    for row in feature_set.rows:
        rows.setdefault(row.shard, []).append(row)
    if not rows:
        raise SchemaError(
            f"{feature_set.path}: found no records, expected some. Make the features again with "
            "`ser features`."
        )
    paths: dict[str, str] = {}
    if data_dir:
        # Absolute, because a worker has a current folder of its own.
        corpus = read_corpus(feature_set.schema.corpus, data_dir.absolute(), allow_partial=True)
        paths = {utterance.key: str(utterance.path) for utterance in corpus}
    return [
        Shard(
            number,
            str(feature_set.path.absolute() / name),
            tuple(rows[name]),
            {row.key: paths.get(row.key, "") for row in rows[name]} if data_dir else {},
        )
        for number, name in enumerate(sorted(rows))
    ]


def _compute_sums(
    shards: Sequence[Shard], folder: Path, workers: int, beam_args: Sequence[str], report: Progress
) -> dict[str, Any]:
    """Runs the graph in a staging folder; returns the sums that it wrote there."""
    with watching("statistics", lambda: _num_done(folder), len(shards), report):
        run_graph(
            lambda pipeline: _build_graph(pipeline, shards, str(folder)),
            f"statistics job in {folder.parent}",
            folder,
            workers,
            beam_args,
        )
    sums: dict[str, Any] = parse_json((folder / _SUMS).read_text(encoding="utf-8"))
    return sums


def _build_graph(pipeline: beam.Pipeline, shards: Sequence[Shard], folder: str) -> None:
    (
        pipeline
        | "List shards" >> beam.Create(shards, reshuffle=False)
        # Without it Beam fuses the steps, and one worker gets all shards.
        | "Spread shards" >> beam.Reshuffle()
        | "Summarize shard" >> beam.Map(_summarize, folder)
        | "Add up" >> beam.CombineGlobally(OrderedSumFn()).without_defaults()
        | "Write sums" >> beam.Map(_write_sums, folder)
    )


def _summarize(shard: Shard, folder: str) -> tuple[int, DataSummary]:
    summary = summarize_shard(shard)
    (Path(folder) / f"{shard.number}{_DONE_SUFFIX}").touch()
    return shard.number, summary


def _write_sums(summary: DataSummary, folder: str) -> None:
    with replacing(Path(folder) / _SUMS) as stream:
        stream.write(as_json(summary.to_dict()))


def _num_done(folder: Path) -> int:
    return sum(1 for _ in folder.glob(f"*{_DONE_SUFFIX}"))


def _file_content(
    feature_set: FeatureSet, sums: Mapping[str, Any], *, measured: bool
) -> dict[str, Any]:
    """Returns the file's content, which names no path, time or machine."""
    if sums["utterances"] != len(feature_set.rows):
        raise SerError(
            f"statistics of {feature_set.path}: found {sums['utterances']} utterances in the sums, "
            f"expected {len(feature_set.rows)}. Nothing was published. Run the job again, with "
            "another runner if this persists."
        )
    return {
        "format": FORMAT,
        "data": {
            "fingerprint": feature_set.manifest["fingerprint"],
            "name": feature_set.schema.name,
            "corpus": feature_set.schema.corpus,
            "spec_name": feature_set.schema.spec_name,
            "sample_rate_hz": feature_set.schema.spec["sample_rate_hz"],
            "dim": feature_set.schema.dim,
            "dtype": "float32",
        },
        "listened": measured,
        "dead": dict(Counter(letter["kind"] for letter in feature_set.dead_letters)),
        "copies": [list(group) for group in duplicate_groups(feature_set.rows)],
        **sums,
    }
