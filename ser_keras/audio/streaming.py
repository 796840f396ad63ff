"""Reads recordings of any length, block by block, in memory that does not grow with them."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soxr

from ser_keras.audio.decoding import decoded
from ser_keras.audio.limits import DEFAULT_LIMITS, SAMPLE_RATE_HZ, AudioLimits
from ser_keras.audio.opening import open_recording, printable
from ser_keras.audio.sound import Mixdown

_ANY_DURATION = AudioLimits(max_duration_s=math.inf, min_duration_s=0.0)


def audio_blocks(
    path: str | Path,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    limits: AudioLimits = DEFAULT_LIMITS,
    block_s: float = 10.0,
) -> Iterator[np.ndarray]:
    """Decodes a recording block by block, at one sampling rate.

    What can be known only at the end is refused after the blocks before: that the file is cut off,
    that all of it was silent. A recording that fits into one block is refused before it is yielded.

    Args:
        path: of the file.
        sample_rate_hz: int. Rate to resample to.
        limits: as for `read_audio`; `max_duration_s` may be infinite.
        block_s: float. Duration of a block.

    Yields:
        float32 (samples,), mono, finite; all of `block_s` but the last, which is not empty.

    Raises:
        AudioError: as `read_audio`, when the iteration gets there. Channels are refused as opposed
            when they have cancelled each other from the beginning to the end of a block.
    """
    where = printable(path)
    size = round(block_s * sample_rate_hz)
    with open_recording(path, where) as stream, decoded(stream, limits, where) as sound:
        mixdown = Mixdown(sound, limits, where)
        for block in _of_size(_resampled(mixdown, sound.rate_hz, sample_rate_hz), size):
            mixdown.check_channels()
            yield block


def duration_s(path: str | Path) -> float | None:
    """Returns how long a recording is by its header, or None if that does not say.

    Raises:
        AudioError: the file is missing, or its content or its header is refused.
    """
    where = printable(path)
    with open_recording(path, where) as stream, decoded(stream, _ANY_DURATION, where) as sound:
        return None if sound.num_frames is None else sound.num_frames / sound.rate_hz


def _resampled(mixdown: Mixdown, rate_hz: int, target_hz: int) -> Iterator[np.ndarray]:
    if rate_hz == target_hz:
        yield from mixdown.blocks()
        mixdown.check_whole()
        return
    resampler = soxr.ResampleStream(rate_hz, target_hz, 1, np.float32, quality="HQ")
    for block in mixdown.blocks():
        yield resampler.resample_chunk(block)
    mixdown.check_whole()
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _of_size(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yields the same samples in blocks of one size, but for the last."""
    pending = np.zeros(0, np.float32)
    for block in blocks:
        pending = np.concatenate([pending, block])
        while len(pending) > size:
            yield pending[:size]
            pending = pending[size:]
    if len(pending):
        yield pending
