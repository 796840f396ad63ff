"""The feature job: list the recordings, run the Beam graph, check, publish.

The driver's part is small and comes before and after the graph, for nobody shares it: it returns at
once where the result is there already, and otherwise counts what the workers left, names it by
everything it depends on, and makes it visible by one rename. Recordings are hashed by the workers,
who read them anyway; the driver does so only where a set of the same kind and size is there.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import MetricsFilter

from pipeline.beam.run import Progress, run_graph, watching
from pipeline.features.collect import (
    check_losses,
    collect,
    losses_error,
    read_dead_letters,
    write_set,
)
from pipeline.features.recordings import (
    SourceList,
    choose_num_shards,
    find_sources,
    fingerprint,
    hashed,
    library_versions,
    shard_name,
    source_fingerprint,
)
from pipeline.features.shards import WriteListedShards, places_by_shard, write_lists
from pipeline.features.writer import NAMESPACE, REPORT_SUFFIX
from pipeline.publishing.staged_output import StagedOutput, point_latest
from ser_keras import __version__
from ser_keras.audio import AudioLimits
from ser_keras.corpora import get_corpus
from ser_keras.data.feature_set import DEAD_LETTERS, MANIFEST, SCHEMA, check_set
from ser_keras.data.schema import Schema
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.features.frames import FrameSpec
from ser_keras.features.specs import name_of_spec
from ser_keras.files import replacing
from ser_keras.labels import class_set_from

FORMAT = 1


@dataclass(frozen=True)
class FeatureJob:
    """One job, fully decided.

    Args:
        where: str. What messages call the corpus.
        sources: recordings, sorted by key, without hashes.
        spec: what to extract.
        schema: what `schema.json` will say.
        num_shards: int.
        limits: what a recording's header may promise.
        max_bad_ratio: float. Largest bearable share of unusable recordings.
    """

    where: str
    sources: SourceList
    spec: FrameSpec
    schema: Schema
    num_shards: int
    limits: AudioLimits
    max_bad_ratio: float

    @cached_property
    def identity(self) -> str:
        """The identity of the job's result if the recordings stay as they are; reads them all."""
        return self.fingerprint(source_fingerprint(hashed(self.sources)))

    def fingerprint(self, sources: str) -> str:
        """Returns the identity of the job's result for the fingerprint of what it reads."""
        settings = {
            "format": FORMAT,
            "schema": asdict(self.schema),
            "num_shards": self.num_shards,
            "limits": asdict(self.limits),
        }
        return fingerprint(sources, settings)


def build_feature_set(
    corpus: str,
    data_dir: str | Path,
    spec: FrameSpec,
    output: str | Path,
    *,
    name: str | None = None,
    allow_partial: bool = False,
    allow_outside: bool = False,
    max_bad_ratio: float = 0.01,
    num_shards: int | None = None,
    workers: int = 1,
    beam_args: Sequence[str] = (),
    limits: AudioLimits | None = None,
    progress: Progress | None = None,
) -> Path:
    """Turns a corpus into a feature set, or finds the one made from the same input before.

    Args:
        corpus: str. Name of the corpus's reader.
        data_dir: folder of the corpus.
        spec: what to extract.
        output: folder where sets are published.
        name: str. What results call the data; the corpus's name by default.
        allow_partial: bool. Accept a copy with other counts than the published ones.
        allow_outside: bool. Accept rows of a manifest that lead out of its folder.
        max_bad_ratio: float. Largest bearable share of unusable recordings.
        num_shards: int. By default a matter of the corpus's size; never of the machine.
        workers: int. Processes on this machine, where `beam_args` name no other runner.
        beam_args: options for Beam.
        limits: what a recording's header may promise.
        progress: called with (step, done, total); the step "features" only where some are made.

    Returns:
        The set's own folder, `<output>/<16 characters of its fingerprint>`.

    Raises:
        ConfigError: an option that cannot be.
        CorpusError: the corpus is refused, or too many recordings are unusable.
        SerError: the runner failed or lost something.
    """
    output, data_dir = Path(output), Path(data_dir)
    report = progress if progress is not None else lambda step, done, total: None
    _check_options(output, max_bad_ratio, num_shards, workers)
    report("listing", 0, 0)
    # Absolute, because a worker's current folder is its own.
    sources = find_sources(
        corpus, data_dir.absolute(), allow_partial=allow_partial, allow_outside=allow_outside
    )
    job = FeatureJob(
        where=f"{get_corpus(corpus).info.title} at {data_dir}",
        sources=sources,
        spec=spec,
        schema=_schema(corpus, name or corpus, spec, sources),
        num_shards=num_shards or choose_num_shards(sources.column("num_bytes")),
        limits=limits or AudioLimits(),
        max_bad_ratio=max_bad_ratio,
    )
    try:
        return _reuse(job, output) or _build(job, output, workers, beam_args, report)
    except OSError as error:
        raise SerError(
            f"feature job in {output}: stopped by {error.strerror or error} "
            f"({error.filename or 'no file'}). Nothing was published. Make room or mend the "
            "folder, and run the same command again."
        ) from error


def _check_options(
    output: Path, max_bad_ratio: float, num_shards: int | None, workers: int
) -> None:
    problems = (
        ("--max-bad-ratio", max_bad_ratio, "0 to 1", 0 <= max_bad_ratio <= 1),
        ("--shards", num_shards, "1 to 99999", num_shards is None or 0 < num_shards < 100_000),
        ("--workers", workers, "1 or more", workers > 0),
        ("--output", output, "a folder", output.is_dir() or not output.exists()),
    )
    for option, found, expected, good in problems:
        if not good:
            raise ConfigError(
                f"feature job: found {option} {found}, expected {expected}. Correct {option}."
            )


def _schema(corpus: str, name: str, spec: FrameSpec, sources: SourceList) -> Schema:
    labels = class_set_from(corpus, sources.column("label")).classes
    class_sets = tuple(get_corpus(corpus).info.class_sets)
    return Schema(spec.to_dict(), name_of_spec(spec), spec.dim, corpus, name, labels, class_sets)


def _reuse(job: FeatureJob, output: Path) -> Path | None:
    """Returns the finished set of the same job, if it is there and whole."""
    if not _is_similar_there(job, output):
        return None
    finished = output / job.identity[:16]
    try:
        check_set(finished)
    except SchemaError:
        return None
    # The share that can be borne is no part of the fingerprint.
    _require_bearable(job, output, finished, job.identity)
    point_latest(output, finished.name)
    return finished


def _is_similar_there(job: FeatureJob, output: Path) -> bool:
    """Returns whether a set of the same schema and as many recordings is there."""
    for path in output.glob(f"*/{MANIFEST}"):
        try:
            found = json.loads(path.read_bytes())
            count = found["num_records"] + found["num_dead"]
            schema = path.with_name(SCHEMA).read_text()
        except (OSError, ValueError, TypeError, KeyError):
            # A damaged set is made again.
            continue
        if (count, schema) == (len(job.sources), job.schema.to_json()):
            return True
    return False


def _build(
    job: FeatureJob, output: Path, workers: int, beam_args: Sequence[str], report: Progress
) -> Path:
    with StagedOutput(output) as staged:
        places = places_by_shard(job.sources, job.num_shards)
        write_lists(staged.path, job.sources, places)
        sizes = {shard_name(n, job.num_shards): len(of_n) for n, of_n in places.items()}
        with watching("features", lambda: _done(staged.path, sizes), len(job.sources), report):
            counted = _run(job, list(places), staged.path.absolute(), workers, beam_args)
        outcome = collect(staged.path, job.sources, places, job.num_shards)
        if counted and counted != outcome.counters:
            raise SerError(
                f"{staged.path}: Beam counted {counted}, the shards hold {outcome.counters}. "
                "Nothing was published. Run the job again, with another runner if this persists."
            )
        # A file may have changed since it was listed; the name says what was really read.
        identity = job.fingerprint(outcome.source_fingerprint)
        _require_bearable(job, output, staged.path, identity)
        facts = {
            "fingerprint": identity,
            "source_fingerprint": outcome.source_fingerprint,
            "name": job.schema.name,
            "corpus": job.schema.corpus,
            "versions": {"ser-keras": __version__, **library_versions()},
        }
        write_set(staged.path, outcome, job.schema, facts)
        return staged.commit(identity[:16])


def _run(
    job: FeatureJob, shards: Sequence[int], folder: Path, workers: int, beam_args: Sequence[str]
) -> dict[str, int]:
    """Runs the graph; returns the counters that the runner reports, {} where it reports none."""

    def build(pipeline: beam.Pipeline) -> None:
        (
            pipeline
            | "List shards" >> beam.Create(shards, reshuffle=False)
            | "Write shards" >> WriteListedShards(str(folder), job.num_shards, job.spec, job.limits)
        )

    result = run_graph(build, f"feature job in {folder.parent}", folder, workers, beam_args)
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    counted = {each.key.metric.name: each.committed for each in found if each.committed is not None}
    return {name: counted[name] for name in ("seen", "ok") if name in counted} | {
        name: counted[name] for name in sorted(counted) if name.startswith("dead_")
    }


def _done(folder: Path, sizes: Mapping[str, int]) -> int:
    """Counts the recordings of the shards that are there."""
    return sum(size for name, size in sizes.items() if (folder / (name + REPORT_SUFFIX)).exists())


def _require_bearable(job: FeatureJob, output: Path, folder: Path, identity: str) -> None:
    """Raises CorpusError where too much is among the dead letters of a set's folder."""
    dead, letters = folder / DEAD_LETTERS, output / f"dead_letters-{identity[:16]}.jsonl"
    reason = check_losses(job.sources, read_dead_letters(dead), job.max_bad_ratio)
    if not reason:
        letters.unlink(missing_ok=True)
        return
    with replacing(letters) as stream, dead.open("rb") as found:
        shutil.copyfileobj(found, stream)
    raise losses_error(job.where, len(job.sources), reason, letters)
