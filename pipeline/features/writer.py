"""The work of the feature job: turns the recordings of a shard into one finished file.

No payload moves between workers. The worker of a shard (see `pipeline.features.shards`) reads its
recordings in key order and writes their features directly into the shard's file. A shard's bytes
depend only on its recordings, so every runner and every number of workers gives the same bytes, and
a repeated bundle replaces a file by an equal one.

The work itself is in the plain functions `write_shard` and `process`. Each worker has one thread,
because more threads wait for the interpreter's lock (measured: no gain with 2, 3 or 4).
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

from pipeline.features.recordings import Recording, file_sha256, shard_name
from ser_keras.audio import SAMPLE_RATE_HZ, AudioLimits, content_hash, read_audio, read_bytes
from ser_keras.audit import fingerprint
from ser_keras.data.example import encode_example
from ser_keras.data.feature_set import IndexRow
from ser_keras.data.record_files import frame_record
from ser_keras.errors import AudioError
from ser_keras.features.extract import extract
from ser_keras.features.frames import FrameSpec
from ser_keras.files import parse_json, replacing

NAMESPACE = "ser_keras.features"
SHARD_SUFFIX = ".tfrecord"
REPORT_SUFFIX = ".report.json"


@dataclass(frozen=True)
class DeadLetter:
    """A recording that could not be used, and why.

    Args:
        key: str. The utterance's key.
        path: str. File, relative to the corpus folder.
        sha256: str. Hash of the file, `""` if it cannot be read.
        stage: str. `"read"`, `"decode"` or `"features"`.
        kind: str. A short stable word, such as `"truncated"`; `"internal"` for a programming error.
        message: str. The full sentence. It contains neither audio nor spoken words.
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
    """The result of one shard; its file lies beside the shard until the job has ended.

    Args:
        name: str. The shard's file.
        bytes: int. Its size.
        sha256: str. Its hash.
        rows: list of IndexRow, in the order of the file.
        dead: list of DeadLetter.
        decode_ms: list of int. Time of reading and decoding, per row.
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
        values: dict[str, Any] = parse_json(text)
        values["rows"] = [IndexRow.from_dict(row) for row in values["rows"]]
        values["dead"] = [DeadLetter(**letter) for letter in values["dead"]]
        return cls(**values)


def write_shard(
    name: str, recordings: Iterable[Recording], folder: Path, spec: FrameSpec, limits: AudioLimits
) -> ShardReport:
    """Processes the recordings of one shard and writes its two files into `folder`.

    Args:
        name: str. Shard name without suffix.
        recordings: in any order.
        folder: Path. Must exist.
        spec: what to extract.
        limits: largest size that a recording's header may declare.

    Returns:
        The report. It is also written as `<name>.report.json`, after `<name>.tfrecord`.
    """
    report = ShardReport(name + SHARD_SUFFIX)
    digest = hashlib.sha256()
    with replacing(folder / report.name) as stream:
        for recording in sorted(recordings, key=lambda recording: recording.key):
            result = process(recording, report.name, spec, limits)
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
    recording: Recording, shard: str, spec: FrameSpec, limits: AudioLimits
) -> tuple[IndexRow, np.ndarray, int] | DeadLetter:
    """Turns one recording into its index row and features, or into a dead letter.

    Returns:
        (row, float32 (frames, spec.dim), milliseconds of reading and decoding), or a dead letter.
        An unusable file never stops the job.
    """
    started = time.perf_counter()
    stage, data = "read", b""
    try:
        data = read_bytes(recording.utterance.path, limits=limits, name=recording.path)
        stage = "decode"
        waveform = read_audio(data, limits=limits, name=recording.path)
        decode_ms = round(1000 * (time.perf_counter() - started))
        stage = "features"
        waveform_at_rate = waveform
        if spec.sample_rate_hz != SAMPLE_RATE_HZ:
            # Hash, fingerprint and duration are those of the common rate, so that the audit can
            # compare feature sets with each other.
            rate = spec.sample_rate_hz
            waveform_at_rate = read_audio(
                data, limits=limits, name=recording.path, sample_rate_hz=rate
            )
        features = extract(spec, waveform_at_rate)
        if not np.isfinite(features).all():
            raise AudioError(
                f"{recording.path}: its features are not finite, expected numbers. Its samples are "
                "out of any range of speech; export the recording again as 16-bit WAV.",
                "not_finite",
            )
        return _index_row(recording, shard, data, waveform, len(features)), features, decode_ms
    except AudioError as error:
        return _dead_letter(recording, data, stage, error.kind, str(error))
    except Exception as error:
        # The text of a foreign error may quote the file's content, so only its location is kept.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        message = f"{recording.path}: {where}, expected no such error. Please report it."
        return _dead_letter(recording, data, stage, "internal", message)


@beam.typehints.with_input_types(tuple[int, Iterable[Recording]])
@beam.typehints.with_output_types(ShardReport)
class WriteShardFn(beam.DoFn):
    """`write_shard` as a step, with counters: seen, ok, dead_<kind>, audio_ms, decode_ms.

    Beam's distributions hold whole numbers, hence milliseconds.
    """

    def __init__(self, folder: str, num_shards: int, spec: FrameSpec, limits: AudioLimits):
        super().__init__()
        self.folder = folder
        self.num_shards = num_shards
        self.spec = spec
        self.limits = limits

    def setup(self) -> None:
        """Computes the window and the filters, which are cached for the life of the worker."""
        extract(self.spec, np.zeros(self.spec.frame_samples, np.float32))

    def process(self, shard: tuple[int, Iterable[Recording]]) -> Iterator[ShardReport]:
        """Yields the report of the written shard."""
        index, recordings = shard
        name = shard_name(index, self.num_shards)
        report = write_shard(name, recordings, Path(self.folder), self.spec, self.limits)
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
    recording: Recording, shard: str, data: bytes, waveform: np.ndarray, frames: int
) -> IndexRow:
    utterance = recording.utterance
    return IndexRow(
        key=utterance.key,
        label=utterance.label,
        speaker=utterance.speaker,
        session=utterance.session,
        sentence=utterance.sentence,
        gender=utterance.gender,
        style=utterance.style,
        split=utterance.split,
        corpus=utterance.corpus,
        duration_s=len(waveform) / SAMPLE_RATE_HZ,
        frames=frames,
        shard=shard,
        source_sha256=hashlib.sha256(data).hexdigest(),
        audio_sha256=content_hash(waveform),
        fingerprint=fingerprint(waveform),
    )


def _dead_letter(
    recording: Recording, data: bytes, stage: str, kind: str, message: str
) -> DeadLetter:
    sha256 = hashlib.sha256(data).hexdigest() if data else file_sha256(recording.utterance.path)
    return DeadLetter(
        recording.key, recording.path, sha256, stage, kind, message, recording.num_bytes
    )
