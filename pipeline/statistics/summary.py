"""Summarizes the utterances of one shard, in plain functions.

Durations, speakers and labels are in the index, and features in the shard. Silence and clipping are
measured in the recordings, if these are given. A recording counts only if it is still the file from
which the features were made.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.statistics.combiners import Distribution, Moments, rounded, total
from ser_keras.audio import SAMPLE_RATE_HZ, read_audio, read_bytes
from ser_keras.data.example import decode_example
from ser_keras.data.feature_set import IndexRow
from ser_keras.data.record_files import read_framed
from ser_keras.errors import AudioError, SchemaError

# Steps of an eighth of an octave, from the shortest to the longest accepted recording (s).
DURATION_EDGES_S = 0.05 * 2 ** (np.arange(110) / 8)
SILENCE_EDGES = np.linspace(0, 1, 51)
# Most recordings have none, some a few samples: a bin for zero, then quarters of a decade.
CLIPPING_EDGES = np.concatenate([[0.0], np.logspace(-4, 0, 17)])

BLOCK_S = 0.02
SILENT_DB = -40.0
CLIPPED = 0.99

# The columns by which utterances are counted.
COLUMNS = ("corpus", "label", "speaker", "gender")


@dataclass(frozen=True)
class Shard:
    """One file of a feature set, as a worker receives it.

    Args:
        number: int. Its position among the shards that hold records.
        path: str.
        rows: index rows of its records.
        recordings: mapping of key to the recording's file; empty if recordings are not measured.
    """

    number: int
    path: str
    rows: tuple[IndexRow, ...]
    recordings: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class DataSummary:
    """The summary of a set of utterances; `+` adds two.

    Args:
        counts: numbers of utterances with the same `COLUMNS`.
        frames: int.
        duration_s: Distribution.
        features: Moments of the features, frame by frame.
        silence_ratio: Distribution, see `silence_ratio`; None if no recording was measured.
        clipping_ratio: the same, see `clipping_ratio`.
        unmeasured: numbers of recordings that could not be measured, by the reason. Its key in the
            file is `unheard`.
    """

    counts: Counter[tuple[str, ...]]
    frames: int
    duration_s: Distribution
    features: Moments
    silence_ratio: Distribution | None = None
    clipping_ratio: Distribution | None = None
    unmeasured: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "DataSummary") -> "DataSummary":
        """Returns the summary of both."""
        return DataSummary(
            self.counts + other.counts,
            self.frames + other.frames,
            self.duration_s + other.duration_s,
            self.features + other.features,
            _add_optional(self.silence_ratio, other.silence_ratio),
            _add_optional(self.clipping_ratio, other.clipping_ratio),
            self.unmeasured + other.unmeasured,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, ready for JSON, rounded and in a fixed order."""
        tables = {column: self._table(index) for index, column in enumerate(COLUMNS)}
        ratios = {"silence_ratio": self.silence_ratio, "clipping_ratio": self.clipping_ratio}
        return {
            "utterances": self.counts.total(),
            "frames": self.frames,
            "counts": tables | {"label of speaker": self._labels_of_speakers()},
            "duration_s": self.duration_s.to_dict(),
            **{name: ratio.to_dict() if ratio else None for name, ratio in ratios.items()},
            "unheard": dict(sorted(self.unmeasured.items())),
            "features": {
                "not_finite": self.features.not_finite,
                "mean": [rounded(value) for value in self.features.mean],
                "std": [rounded(value) for value in self.features.std],
            },
        }

    def _table(self, column: int) -> dict[str, int]:
        table: Counter[str] = Counter()
        for columns, count in self.counts.items():
            table[columns[column]] += count
        return dict(sorted(table.items()))

    def _labels_of_speakers(self) -> dict[str, dict[str, int]]:
        table: dict[str, Counter[str]] = {}
        for (_, label, speaker, _), count in sorted(self.counts.items()):
            table.setdefault(speaker, Counter())[label] += count
        return {speaker: dict(labels) for speaker, labels in table.items()}


def summarize_shard(shard: Shard) -> DataSummary:
    """Returns the summary of a shard's utterances, added up in the order of the file.

    Raises:
        SchemaError: the shard is damaged, or its records are not those of the index.
    """
    rows = {row.key: row for row in shard.rows}
    summary: DataSummary | None = None
    for key, features in map(decode_example, read_framed(Path(shard.path))):
        if key not in rows:
            raise SchemaError(
                f"{shard.path}: found a record {key!r}, expected those of its index. Make the "
                "features again with `ser features`."
            )
        # Added at once: kept until the end, they would take kilobytes for each recording.
        utterance = summarize_utterance(rows.pop(key), features, shard.recordings)
        summary = utterance if summary is None else summary + utterance
    if summary is None or rows:
        raise SchemaError(
            f"{shard.path}: found no record {min(rows, default='')!r}, expected those of its "
            "index. Make the features again with `ser features`."
        )
    return summary


def summarize_utterance(
    row: IndexRow, features: np.ndarray, recordings: Mapping[str, str]
) -> DataSummary:
    """Returns the summary of one utterance.

    Args:
        row: its index row.
        features: float32 (frames, dim).
        recordings: mapping of key to file; empty if recordings are not measured.
    """
    silence, clipping, unmeasured = None, None, Counter[str]()
    if recordings:
        waveform = _read_recording(row, recordings.get(row.key, ""))
        if isinstance(waveform, str):
            unmeasured[waveform] += 1
        else:
            silence = Distribution.of(silence_ratio(waveform), row.key, SILENCE_EDGES)
            clipping = Distribution.of(clipping_ratio(waveform), row.key, CLIPPING_EDGES)
    return DataSummary(
        Counter({tuple(getattr(row, column) for column in COLUMNS): 1}),
        len(features),
        Distribution.of(row.duration_s, row.key, DURATION_EDGES_S),
        Moments.of(features),
        silence,
        clipping,
        unmeasured,
    )


def silence_ratio(waveform: np.ndarray) -> float:
    """Returns the share of blocks of 20 ms that are 40 dB or more below the loudest one.

    Args:
        waveform: float (samples,) at 16 kHz; an incomplete last block does not count.

    Example:
        >>> silence_ratio(np.concatenate([np.ones(320), np.zeros(960)]))
        0.75
    """
    size = round(BLOCK_S * SAMPLE_RATE_HZ)
    blocks = waveform[: len(waveform) // size * size].reshape(-1, size)
    powers = np.square(blocks, dtype=np.float64).mean(axis=1)
    return float(np.mean(powers <= powers.max() * 10 ** (SILENT_DB / 10)))


def clipping_ratio(waveform: np.ndarray) -> float:
    """Returns the share of samples at full scale, 0.99 or more, to which resampling reduces 1.

    Args:
        waveform: float (samples,).

    Example:
        >>> clipping_ratio(np.array([0.1, -1.0, 0.995, 0.9]))
        0.5
    """
    return float(np.mean(np.abs(waveform) >= CLIPPED))


def _read_recording(row: IndexRow, path: str) -> np.ndarray | str:
    """Returns the recording's waveform, or a word that says why there is none."""
    try:
        data = read_bytes(path, name=row.key)
        if hashlib.sha256(data).hexdigest() != row.source_sha256:
            return "changed"
        return read_audio(data, name=row.key)
    except AudioError as error:
        return error.kind


def _add_optional(first: Distribution | None, second: Distribution | None) -> Distribution | None:
    present: Sequence[Distribution] = [item for item in (first, second) if item is not None]
    return total(present) if present else None
