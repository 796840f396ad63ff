"""Finds equal recordings: exactly, by the hash of their audio, or nearly, by fingerprint."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_keras.audio import content_hash, read_audio
from ser_keras.audit.fingerprint import (
    BANDS,
    FINGERPRINT_BYTES,
    NEAR_DB,
    SEGMENTS,
    STEPS_PER_DB,
    fingerprint,
)
from ser_keras.corpora.base import Utterance
from ser_keras.errors import SchemaError

_BLOCK_ROWS = 1024
_EDGE = 2
_LAGS = (0.0, -0.25, 0.25, -0.5, 0.5, -0.75, 0.75, -1.0, 1.0)
_ACTIVE_DB = 3.0
# Of 1539 recordings of speech (RAVDESS, EmoDB, EmoDB cut to 2 s, nEMO) the flattest moves by 4.0
# dB; noise of any colour, hum and tones move by 0.9 dB at most, room tone that drifts by 2.5 dB.
_SHAPE_DB = 3.0
# The windows overlap: two at either end of a sound are on its flank.
_FLANK = 2


@dataclass(frozen=True)
class AudioRow:
    """What the audit needs to know of a recording; rows of a feature set have it as well.

    Args:
        key, label, speaker, sentence: str. As in `ser_keras.corpora.base.Utterance`.
        audio_sha256: str. Hash of the decoded audio.
        fingerprint: bytes. See `ser_keras.audit.fingerprint`.
    """

    key: str
    label: str
    speaker: str
    sentence: str
    audio_sha256: str
    fingerprint: bytes


def row_of(utterance: Utterance) -> AudioRow:
    """Reads an utterance's recording and returns its row.

    Raises:
        AudioError: the recording cannot be used.
    """
    waveform = read_audio(utterance.path)
    return AudioRow(
        utterance.key,
        utterance.label,
        utterance.speaker,
        utterance.sentence,
        content_hash(waveform),
        fingerprint(waveform),
    )


def duplicate_groups(rows: Iterable[Any], near: bool = True) -> list[tuple[str, ...]]:
    """Returns groups of keys that hold the same recording, each sorted, sorted by first key.

    A copy of a copy belongs to the group. Recordings without shape in time, such as noise, all have
    nearly the same fingerprint; only their hashes are compared.

    Args:
        rows: objects with `key`, `audio_sha256` and `fingerprint`.
        near: compare fingerprints too, not only the hashes of the decoded audio.

    Raises:
        SchemaError: a fingerprint of another length.
    """
    of_hash: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        of_hash[row.audio_sha256 or f"unknown {row.key}"].append(row)
    groups = list(of_hash.values())
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    if near:
        firsts = [group[0] for group in groups]
        shaped = np.flatnonzero(has_shape(_levels_of_rows(firsts)))
        for first, second in _near_pairs([firsts[index] for index in shaped]):
            parent[root(int(shaped[second]))] = root(int(shaped[first]))
    joined: dict[int, list[str]] = defaultdict(list)
    for index, group in enumerate(groups):
        joined[root(index)] += [row.key for row in group]
    return sorted(tuple(sorted(keys)) for keys in joined.values() if len(keys) > 1)


def without_shape(rows: Sequence[Any]) -> list[Any]:
    """Returns the rows whose recording sounds the same from beginning to end.

    Args:
        rows: objects with `key` and `fingerprint`.

    Raises:
        SchemaError: a fingerprint of another length.
    """
    shaped = has_shape(_levels_of_rows(rows))
    return [row for row, shape in zip(rows, shaped, strict=True) if not shape]


def _levels_of_rows(rows: Sequence[Any]) -> np.ndarray:
    invalid = [row for row in rows if len(row.fingerprint) != FINGERPRINT_BYTES]
    if invalid:
        raise SchemaError(
            f"{invalid[0].key}: found a fingerprint of {len(invalid[0].fingerprint)} bytes, "
            f"expected {FINGERPRINT_BYTES}. Make the features again with `ser features`."
        )
    return levels_of([row.fingerprint for row in rows])


def _near_pairs(rows: Sequence[Any]) -> Iterator[tuple[int, int]]:
    levels = _levels_of_rows(rows)
    for start in range(0, len(levels), _BLOCK_ROWS):
        distances = near_distances(levels[start : start + _BLOCK_ROWS], levels[start:])
        for first, second in np.argwhere(distances < NEAR_DB):
            if first < second:
                yield start + int(first), start + int(second)


def levels_of(fingerprints: Sequence[bytes]) -> np.ndarray:
    """Returns the levels that fingerprints hold, float32 (n, 32, 4), in dB."""
    values = np.frombuffer(b"".join(fingerprints), np.uint8)
    return values.reshape(-1, SEGMENTS, BANDS).astype(np.float32) / STEPS_PER_DB


def has_shape(levels: np.ndarray) -> np.ndarray:
    """Returns which recordings have levels that move in time, as those of speech do.

    Measured is the root mean square deviation of each band's levels from their mean, between the
    beginning and the end of the sound, in the bands that are not silent.

    Args:
        levels: float (n, 32, 4). Levels in dB.

    Returns:
        bool (n,).
    """
    return np.array([_movement_db(recording) > _SHAPE_DB for recording in levels], bool)


def _movement_db(levels: np.ndarray) -> float:
    active = levels > _ACTIVE_DB
    segments = np.flatnonzero(active.any(axis=1))
    if not len(segments):
        return 0.0
    inner = levels[segments[0] + _FLANK : segments[-1] + 1 - _FLANK, active.any(axis=0)]
    return float(np.sqrt(np.var(inner, axis=0).mean())) if inner.size else 0.0


def near_distances(levels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the distance of each fingerprint to each of the others, in dB.

    The root mean square difference over the cells that are not silent, at the best of nine shifts
    of up to one window, which make up for a centre that coding has moved.

    Args:
        levels: float (n, 32, 4). Levels in dB.
        others: float (m, 32, 4). Levels in dB.

    Returns:
        float (n, m).
    """
    fixed = _shifted(others, 0.0).reshape(len(others), -1)
    norms = (fixed**2).sum(axis=1)
    best = np.full((len(levels), len(others)), np.inf, np.float32)
    for lag in _LAGS:
        shifted = _shifted(levels, lag).reshape(len(levels), -1)
        squares = (shifted**2).sum(axis=1)[:, None] + norms - 2 * shifted @ fixed.T
        np.minimum(best, squares, out=best)
    cells = np.maximum(_active(levels)[:, None], _active(others))
    return np.sqrt(np.maximum(best, 0) / cells)


def _shifted(levels: np.ndarray, lag: float) -> np.ndarray:
    steps = int(np.floor(lag))
    share = lag - steps
    first, last = _EDGE + steps, SEGMENTS - _EDGE + steps
    return (1 - share) * levels[:, first:last] + share * levels[:, first + 1 : last + 1]


def _active(levels: np.ndarray) -> np.ndarray:
    inner = levels[:, _EDGE : SEGMENTS - _EDGE]
    return np.maximum(1, (inner > _ACTIVE_DB).sum(axis=(1, 2)))
