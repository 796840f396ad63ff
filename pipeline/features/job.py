"""The feature job: lists the recordings, runs the Beam graph, checks the result and publishes it.

The driver works only before and after the graph. It returns at once if the result is there already.
Otherwise it collects what the workers wrote, names the set by everything it depends on, and
publishes it by one rename. The workers hash the recordings, because they read them anyway; the
driver hashes them only if a set of the same kind and size is there.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import apache_beam as beam
import numpy as np

from pipeline.beam.run import Progress, counters_of, run_graph, watching
from pipeline.features.collect import (
    check_losses,
    collect,
    losses_error,
    read_dead_letters,
    write_set,
)
from pipeline.features.recordings import (
    RecordingList,
    choose_num_shards,
    find_recordings,
    fingerprint,
    library_versions,
    recordings_fingerprint,
    shard_name,
    with_hashes,
)
from pipeline.features.shards import WriteListedShards, positions_by_shard, write_lists
from pipeline.features.writer import NAMESPACE, REPORT_SUFFIX
from pipeline.publishing.staged_output import StagedOutput, point_latest
from ser_keras import __version__
from ser_keras.audio import AudioLimits
from ser_keras.corpora import get_corpus
from ser_keras.data.feature_set import DEAD_LETTERS, MANIFEST, SCHEMA, check_set
from ser_keras.data.schema import Schema
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.features.extract import extract
from ser_keras.features.frames import FrameSpec
from ser_keras.features.specs import name_of_spec
from ser_keras.files import parse_json, plain_name, replacing
from ser_keras.labels import class_set_from

FORMAT = 1


@dataclass(frozen=True)
class FeatureJob:
    """A job with all its settings.

    Args:
        where: str. Name of the corpus in messages.
        recordings: sorted by key, without hashes.
        spec: what to extract.
        schema: content of `schema.json`.
        num_shards: int.
        limits: largest size that a recording's header may declare.
        max_bad_ratio: float. Largest accepted share of unusable recordings.
    """

    where: str
    recordings: RecordingList
    spec: FrameSpec
    schema: Schema
    num_shards: int
    limits: AudioLimits
    max_bad_ratio: float

    @cached_property
    def identity(self) -> str:
        """Fingerprint of the result for the recordings as they are now; reads all of them."""
        return self.fingerprint(recordings_fingerprint(with_hashes(self.recordings)))

    def fingerprint(self, of_recordings: str) -> str:
        """Returns the fingerprint of the result for a fingerprint of the recordings."""
        settings = {
            "format": FORMAT,
            "schema": asdict(self.schema),
            "num_shards": self.num_shards,
            "limits": asdict(self.limits),
        }
        return fingerprint(of_recordings, settings, self.spec.libraries)


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
    """Makes a feature set of a corpus, or returns the one made from the same input before.

    Args:
        corpus: str. Name of the corpus.
        data_dir: folder of the corpus.
        spec: what to extract.
        output: folder where sets are published.
        name: str. Name of the data in results; the corpus's name by default.
        allow_partial: bool. Accept a copy whose counts differ from the published ones.
        allow_outside: bool. Accept rows of a manifest that lead out of its folder.
        max_bad_ratio: float. Largest accepted share of unusable recordings.
        num_shards: int. By default it depends on the size of the corpus, never on the machine.
        workers: int. Processes on this machine, unless `beam_args` name another runner.
        beam_args: options for Beam.
        limits: largest size that a recording's header may declare.
        progress: called with (step, done, total); the step "features" only if some are made.

    Returns:
        The set's own folder, `<output>/<16 characters of its fingerprint>`.

    Raises:
        ConfigError: an invalid option.
        CorpusError: the corpus is refused, or too many recordings are unusable.
        SerError: the runner failed or lost something.
    """
    output, data_dir = Path(output), Path(data_dir)
    report = progress if progress is not None else lambda step, done, total: None
    _check_options(output, max_bad_ratio, num_shards, workers)
    plain_name(name or corpus, "feature job, --name")
    report("listing", 0, 0)
    # Absolute, because a worker has a current folder of its own.
    recordings = find_recordings(
        corpus, data_dir.absolute(), allow_partial=allow_partial, allow_outside=allow_outside
    )
    job = FeatureJob(
        where=f"{get_corpus(corpus).info.title} at {data_dir}",
        recordings=recordings,
        spec=spec,
        schema=_schema(corpus, name or corpus, spec, recordings),
        num_shards=num_shards or choose_num_shards(recordings.column("num_bytes")),
        limits=limits or AudioLimits(),
        max_bad_ratio=max_bad_ratio,
    )
    try:
        return _reuse_set(job, output) or _build_set(job, output, workers, beam_args, report)
    except OSError as error:
        raise SerError(
            f"feature job in {output}: stopped by {error.strerror or error} "
            f"({error.filename or 'no file'}). Nothing was published. Make room or mend the "
            "folder, and run the same command again."
        ) from error


def _check_options(
    output: Path, max_bad_ratio: float, num_shards: int | None, workers: int
) -> None:
    settings = (
        ("--max-bad-ratio", max_bad_ratio, "0 to 1", 0 <= max_bad_ratio <= 1),
        ("--shards", num_shards, "1 to 99999", num_shards is None or 0 < num_shards < 100_000),
        ("--workers", workers, "1 or more", workers > 0),
        ("--output", output, "a folder", output.is_dir() or not output.exists()),
    )
    for option, value, expected, valid in settings:
        if not valid:
            raise ConfigError(
                f"feature job: found {option} {value}, expected {expected}. Correct {option}."
            )


def _schema(corpus: str, name: str, spec: FrameSpec, recordings: RecordingList) -> Schema:
    labels = class_set_from(corpus, recordings.column("label")).classes
    class_sets = tuple(get_corpus(corpus).info.class_sets)
    return Schema(spec.to_dict(), name_of_spec(spec), spec.dim, corpus, name, labels, class_sets)


def _reuse_set(job: FeatureJob, output: Path) -> Path | None:
    """Returns the finished set of the same job, if it is there and undamaged."""
    if not _has_similar_set(job, output):
        return None
    finished = output / job.identity[:16]
    try:
        check_set(finished)
    except SchemaError:
        return None
    # The accepted share of losses is not part of the fingerprint.
    _require_accepted_losses(job, output, finished, job.identity)
    point_latest(output, finished.name)
    return finished


def _has_similar_set(job: FeatureJob, output: Path) -> bool:
    """Tells whether a set with the same schema and number of recordings is there."""
    for path in output.glob(f"*/{MANIFEST}"):
        try:
            manifest = parse_json(path.read_bytes())
            count = manifest["num_records"] + manifest["num_dead"]
            schema = path.with_name(SCHEMA).read_text()
        except (OSError, ValueError, TypeError, KeyError):
            # A damaged set is made again.
            continue
        if (count, schema) == (len(job.recordings), job.schema.to_json()):
            return True
    return False


def _build_set(
    job: FeatureJob, output: Path, workers: int, beam_args: Sequence[str], report: Progress
) -> Path:
    # A package that the spec needs and that is missing is reported before any worker starts.
    extract(job.spec, np.zeros(job.spec.frame_samples, np.float32))
    with StagedOutput(output) as staged:
        positions = positions_by_shard(job.recordings, job.num_shards)
        write_lists(staged.path, job.recordings, positions)
        sizes = {shard_name(n, job.num_shards): len(of_n) for n, of_n in positions.items()}
        with watching(
            "features", lambda: _num_done(staged.path, sizes), len(job.recordings), report
        ):
            counted = _run_graph(job, list(positions), staged.path.absolute(), workers, beam_args)
        collected = collect(staged.path, job.recordings, positions, job.num_shards)
        if counted and counted != collected.counters:
            raise SerError(
                f"{staged.path}: Beam counted {counted}, the shards hold {collected.counters}. "
                "Nothing was published. Run the job again, with another runner if this persists."
            )
        # A file may have changed since it was listed; the name is that of what was really read.
        identity = job.fingerprint(collected.source_fingerprint)
        _require_accepted_losses(job, output, staged.path, identity)
        facts = {
            "fingerprint": identity,
            "source_fingerprint": collected.source_fingerprint,
            "name": job.schema.name,
            "corpus": job.schema.corpus,
            "versions": {"ser-keras": __version__, **library_versions(job.spec.libraries)},
        }
        write_set(staged.path, collected, job.schema, facts)
        return staged.commit(identity[:16])


def _run_graph(
    job: FeatureJob, shards: Sequence[int], folder: Path, workers: int, beam_args: Sequence[str]
) -> dict[str, int]:
    """Runs the graph; returns the counters that the runner reports, {} if it reports none."""

    def build(pipeline: beam.Pipeline) -> None:
        (
            pipeline
            | "List shards" >> beam.Create(shards, reshuffle=False)
            | "Write shards" >> WriteListedShards(str(folder), job.num_shards, job.spec, job.limits)
        )

    result = run_graph(build, f"feature job in {folder.parent}", folder, workers, beam_args)
    counted = counters_of(result, NAMESPACE)
    return {name: counted[name] for name in ("seen", "ok") if name in counted} | {
        name: counted[name] for name in sorted(counted) if name.startswith("dead_")
    }


def _num_done(folder: Path, sizes: Mapping[str, int]) -> int:
    """Returns the number of recordings of the finished shards."""
    return sum(size for name, size in sizes.items() if (folder / (name + REPORT_SUFFIX)).exists())


def _require_accepted_losses(job: FeatureJob, output: Path, folder: Path, identity: str) -> None:
    """Raises CorpusError if the dead letters of a set's folder are too many."""
    dead, letters = folder / DEAD_LETTERS, output / f"dead_letters-{identity[:16]}.jsonl"
    reason = check_losses(job.recordings, read_dead_letters(dead), job.max_bad_ratio)
    if not reason:
        letters.unlink(missing_ok=True)
        return
    with replacing(letters) as stream, dead.open("rb") as dead_stream:
        shutil.copyfileobj(dead_stream, stream)
    raise losses_error(job.where, len(job.recordings), reason, letters)
