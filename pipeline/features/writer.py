"""The work of the feature job: the recordings of a shard -> one finished file.

No payload moves between workers. Whoever gets a shard's number (see `pipeline.features.shards`)
reads its recordings in key order and writes their features straight into the shard's file. A
shard's bytes depend on its recordings alone, so any runner and any number of workers give the same
ones, and a bundle that is tried again replaces a file by its equal.

The work itself is `write_shard` and `process`, plain functions. One thread per worker: more of them
wait for the interpreter's lock (measured: no gain with 2, 3 or 4).
"""

import hashlib
import json
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from pipeline.features.recordings import Source, file_sha256, shard_name
from ser_keras.audio import SAMPLE_RATE_HZ, AudioLimits, content_hash, read_audio, read_bytes
from ser_keras.audit import fingerprint
from ser_keras.data.example import encode_example
from ser_keras.data.feature_set import IndexRow
from ser_keras.data.record_files import frame_record
from ser_keras.errors import AudioError
from ser_keras.features.extract import extract
from ser_keras.features.frames import FrameSpec
from ser_keras.files import replacing

NAMESPACE = "ser_keras.features"
SHARD_SUFFIX = ".tfrecord"
REPORT_SUFFIX = ".report.json"


@dataclass(frozen=True)
class DeadLetter:
    """A recording that could not be used, and why.

    Args:
        key: str. The utterance's key.
        path: str. File, relative to the corpus folder.
        sha256: str. Hash of the file, `""` where it cannot be read.
        stage: str. `"read"`, `"decode"` or `"features"`.
        kind: str. A short stable word, such as `"truncated"`; `"internal"` for a fault of ours.
        message: str. The full sentence. Holds neither audio nor words that were spoken.
        bytes: int. Size of the file.
    """

    key: str
    path: str
    sha256: str
    stage: str
    kind: str
    message: str
    bytes: int


@dataclass
class ShardReport:
    """What became of one shard; lies beside it until the job has ended.

    Args:
        name: str. The shard's file.
        bytes: int. Its size.
        sha256: str. Its hash.
        rows: list of IndexRow, in the order of the file.
        dead: list of DeadLetter.
        decode_ms: list of int. Time that reading and decoding took, per row.
    """

    name: str
    bytes: int = 0
    sha256: str = ""
    rows: list[IndexRow] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    decode_ms: list[int] = field(default_factory=list)

    def to_json(self) -> str:
        """Returns the report as JSON; `from_json` is the inverse."""
        rows = [row.to_dict() for row in self.rows]
        dead = [asdict(letter) for letter in self.dead]
        return json.dumps({**vars(self), "rows": rows, "dead": dead})

    @classmethod
    def from_json(cls, text: str) -> "ShardReport":
        """Returns the report that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["rows"] = [IndexRow.from_dict(row) for row in values["rows"]]
        values["dead"] = [DeadLetter(**letter) for letter in values["dead"]]
        return cls(**values)


def write_shard(
    name: str, sources: Iterable[Source], folder: Path, spec: FrameSpec, limits: AudioLimits
) -> ShardReport:
    """Processes the recordings of one shard and puts its two files into `folder`.

    Args:
        name: str. Shard name without ending.
        sources: in any order.
        folder: Path. Must exist.
        spec: what to extract.
        limits: what a recording's header may promise.

    Returns:
        The report that was also written as `<name>.report.json`, after `<name>.tfrecord`.
    """
    report = ShardReport(name + SHARD_SUFFIX)
    digest = hashlib.sha256()
    with replacing(folder / report.name) as stream:
        for source in sorted(sources, key=lambda source: source.key):
            result = process(source, report.name, spec, limits)
            if isinstance(result, DeadLetter):
                report.dead.append(result)
                continue
            row, features, decode_ms = result
            for part in frame_record(encode_example(row, features)):
                stream.write(part)
                digest.update(part)
                report.bytes += len(part)
            report.rows.append(row)
            report.decode_ms.append(decode_ms)
    report.sha256 = digest.hexdigest()
    with replacing(folder / (name + REPORT_SUFFIX)) as stream:
        stream.write(report.to_json().encode())
    return report


def process(
    source: Source, shard: str, spec: FrameSpec, limits: AudioLimits
) -> tuple[IndexRow, np.ndarray, int] | DeadLetter:
    """Turns one recording into its index row and features, or says why that cannot be done.

    Returns:
        (row, float32 (frames, spec.dim), milliseconds of reading and decoding), or a dead letter.
        Whatever is wrong with a file costs that file, never the job.
    """
    started = time.perf_counter()
    stage, data = "read", b""
    try:
        data = read_bytes(source.utterance.path, limits=limits, name=source.path)
        stage = "decode"
        waveform = read_audio(data, limits=limits, name=source.path)
        decode_ms = round(1000 * (time.perf_counter() - started))
        stage = "features"
        heard = waveform
        if spec.sample_rate_hz != SAMPLE_RATE_HZ:
            # Hash, fingerprint and duration stay those of the common rate, so that the audit can
            # compare across feature sets.
            rate = spec.sample_rate_hz
            heard = read_audio(data, limits=limits, name=source.path, sample_rate_hz=rate)
        features = extract(spec, heard)
        if not np.isfinite(features).all():
            raise AudioError(
                f"{source.path}: its features are not finite, expected numbers. Its samples are "
                "out of any range of speech; export the recording again as 16-bit WAV.",
                "not_finite",
            )
        return _index_row(source, shard, data, waveform, len(features)), features, decode_ms
    except AudioError as error:
        return _dead_letter(source, data, stage, error.kind, str(error))
    except Exception as error:
        # The text of a foreign error may quote the file's content, so only its place is kept.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        message = f"{source.path}: {where}, expected no such error. Please report it."
        return _dead_letter(source, data, stage, "internal", message)


@beam.typehints.with_input_types(tuple[int, Iterable[Source]])
@beam.typehints.with_output_types(ShardReport)
class WriteShardFn(beam.DoFn):
    """`write_shard` as a step, with counters: seen, ok, dead_<kind>, audio_ms, decode_ms.

    Counters are in the step alone: Beam's distributions hold whole numbers, hence milliseconds.
    """

    def __init__(self, folder: str, num_shards: int, spec: FrameSpec, limits: AudioLimits):
        super().__init__()
        self.folder = folder
        self.num_shards = num_shards
        self.spec = spec
        self.limits = limits

    def setup(self) -> None:
        """Computes window and filters, which are kept for the life of the worker."""
        extract(self.spec, np.zeros(self.spec.frame_samples, np.float32))

    def process(self, shard: tuple[int, Iterable[Source]]) -> Iterator[ShardReport]:
        """Yields the report of the shard that was written."""
        index, sources = shard
        name = shard_name(index, self.num_shards)
        report = write_shard(name, sources, Path(self.folder), self.spec, self.limits)
        self._count(report)
        yield report

    @staticmethod
    def _count(report: ShardReport) -> None:
        Metrics.counter(NAMESPACE, "seen").inc(len(report.rows) + len(report.dead))
        Metrics.counter(NAMESPACE, "ok").inc(len(report.rows))
        for letter in report.dead:
            Metrics.counter(NAMESPACE, f"dead_{letter.kind}").inc()
        for row, decode_ms in zip(report.rows, report.decode_ms, strict=True):
            Metrics.distribution(NAMESPACE, "audio_ms").update(round(1000 * row.duration_s))
            Metrics.distribution(NAMESPACE, "decode_ms").update(decode_ms)


def _index_row(
    source: Source, shard: str, data: bytes, waveform: np.ndarray, frames: int
) -> IndexRow:
    said = source.utterance
    return IndexRow(
        key=said.key,
        label=said.label,
        speaker=said.speaker,
        session=said.session,
        sentence=said.sentence,
        gender=said.gender,
        style=said.style,
        split=said.split,
        corpus=said.corpus,
        duration_s=len(waveform) / SAMPLE_RATE_HZ,
        frames=frames,
        shard=shard,
        source_sha256=hashlib.sha256(data).hexdigest(),
        audio_sha256=content_hash(waveform),
        fingerprint=fingerprint(waveform),
    )


def _dead_letter(source: Source, data: bytes, stage: str, kind: str, message: str) -> DeadLetter:
    sha256 = hashlib.sha256(data).hexdigest() if data else file_sha256(source.utterance.path)
    return DeadLetter(source.key, source.path, sha256, stage, kind, message, source.num_bytes)
