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
    SEGMENTS,
    STEPS_PER_DB,
    fingerprint,
)
from ser_keras.audit.near_copies import ACTIVE_DB, near_groups
from ser_keras.corpora.base import Utterance
from ser_keras.errors import SchemaError

_BLOCK_ROWS = 4096
# Utterances that a worker is sent at a time.
_ROWS_SENT = 32
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


def rows_of(utterances: Iterable[Utterance], workers: int = 1) -> Iterator[AudioRow]:
    """Yields the row of each utterance, in their order.

    Args:
        utterances: with the files to read.
        workers: int. Processes that read them; with 1, this one does.

    Raises:
        AudioError: a recording cannot be used.
    """
    if workers == 1:
        yield from map(row_of, utterances)
        return
    # Here, because few need it. New interpreters, as a copy of one with threads may hang.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield from pool.map(row_of, utterances, chunksize=_ROWS_SENT)
    finally:
        pool.shutdown(cancel_futures=True)


def duplicate_groups(rows: Iterable[Any]) -> list[tuple[str, ...]]:
    """Returns groups of keys that hold the same recording, each sorted, sorted by first key.

    A copy of a copy belongs to the group. Recordings without shape in time, such as noise, all have
    nearly the same fingerprint; only their hashes are compared.

    Args:
        rows: objects with `key`, `audio_sha256` and `fingerprint`.

    Raises:
        SchemaError: a fingerprint of another length.
    """
    of_hash: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        of_hash[row.audio_sha256 or f"unknown {row.key}"].append(row)
    groups = list(of_hash.values())
    number_of = np.arange(len(groups))
    values = _values([group[0] for group in groups])
    shaped = np.flatnonzero(has_shape(values))
    number_of[shaped] = shaped[near_groups(values[shaped])]
    joined: dict[int, list[str]] = defaultdict(list)
    for number, group in zip(number_of.tolist(), groups, strict=True):
        joined[number] += [row.key for row in group]
    return sorted(tuple(sorted(keys)) for keys in joined.values() if len(keys) > 1)


def without_shape(rows: Sequence[Any]) -> list[Any]:
    """Returns the rows whose recording sounds the same from beginning to end.

    Args:
        rows: objects with `key` and `fingerprint`.

    Raises:
        SchemaError: a fingerprint of another length.
    """
    shaped = has_shape(_values(rows))
    return [row for row, shape in zip(rows, shaped, strict=True) if not shape]


def _values(rows: Sequence[Any]) -> np.ndarray:
    invalid = [row for row in rows if len(row.fingerprint) != FINGERPRINT_BYTES]
    if invalid:
        raise SchemaError(
            f"{invalid[0].key}: found a fingerprint of {len(invalid[0].fingerprint)} bytes, "
            f"expected {FINGERPRINT_BYTES}. Make the features again with `ser features`."
        )
    return values_of([row.fingerprint for row in rows])


def values_of(fingerprints: Sequence[bytes]) -> np.ndarray:
    """Returns the levels that fingerprints hold, uint8 (n, 32, 4), in quarters of a dB."""
    values = np.frombuffer(b"".join(fingerprints), np.uint8)
    return values.reshape(-1, SEGMENTS, BANDS)


def has_shape(values: np.ndarray) -> np.ndarray:
    """Returns which recordings have levels that move in time, as those of speech do.

    Measured is the root mean square deviation of each band's levels from their mean, between the
    beginning and the end of the sound, in the bands that are not silent.

    Args:
        values: uint8 (n, 32, 4). Fingerprints.

    Returns:
        bool (n,).
    """
    blocks = range(0, len(values), _BLOCK_ROWS)
    moves = [_movements_db(values[start : start + _BLOCK_ROWS]) > _SHAPE_DB for start in blocks]
    return np.concatenate([np.empty(0, bool), *moves])


def _movements_db(values: np.ndarray) -> np.ndarray:
    levels = values / float(STEPS_PER_DB)
    active = levels > ACTIVE_DB
    segment_active, bands = active.any(axis=2), active.any(axis=1)
    # The sound goes from its first active segment to its last.
    first = segment_active.argmax(axis=1) + _FLANK
    last = SEGMENTS - segment_active[:, ::-1].argmax(axis=1) - _FLANK
    segments = np.arange(SEGMENTS)
    inner = (segments >= first[:, None]) & (segments < last[:, None])
    inner &= segment_active.any(axis=1, keepdims=True)
    count = np.maximum(1, inner.sum(axis=1))[:, None]
    means = np.einsum("ij,ijk->ik", inner, levels) / count
    squares = np.einsum("ij,ijk->ik", inner, (levels - means[:, None]) ** 2) / count
    return np.sqrt((squares * bands).sum(axis=1) / np.maximum(1, bands.sum(axis=1)))
