"""Audio of any length, block by block, at the rate of a model. Needs numpy, soundfile and soxr."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

BLOCK_S = 10.0
MAX_PCM_BYTES = 2**16

Source = str | Path | np.ndarray | BinaryIO


def blocks_of(source: Source, found_hz: int, wanted_hz: int) -> Iterator[np.ndarray]:
    """Yields mono blocks (n,), float32, of a source.

    Args:
        source: path of an audio file, samples (n,) or (n, channels), -1 to 1, or an open binary
            stream of 16-bit little-endian mono samples.
        found_hz: int. Rate of the samples or the stream; files say their own.
        wanted_hz: int. Rate of the blocks.

    Raises:
        soundfile.LibsndfileError: no file that can be read.
    """
    if isinstance(source, np.ndarray):
        yield _resampled(source, found_hz, wanted_hz)
        return
    if not isinstance(source, (str, Path)):
        resampler = soxr.ResampleStream(found_hz, wanted_hz, 1, np.float32)
        for block in _pcm(source):
            yield resampler.resample_chunk(block)
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return
    with soundfile.SoundFile(source) as file:
        resampler = soxr.ResampleStream(file.samplerate, wanted_hz, 1, np.float32)
        for block in file.blocks(round(BLOCK_S * file.samplerate), dtype=np.float32):
            last = file.tell() >= file.frames
            yield resampler.resample_chunk(_mono(block), last=last)


def windows_of(
    blocks: Iterable[np.ndarray], size: int, hop: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first sample, window) as soon as its last sample is there.

    The last window ends where the audio does; audio shorter than one is a window of its own.
    """
    kept, start, first = np.zeros(0, np.float32), 0, True
    for block in blocks:
        kept = np.concatenate([kept, block])
        while len(kept) >= size + (0 if first else hop):
            if not first:
                kept, start = kept[hop:], start + hop
            first = False
            yield start, kept[:size]
    if len(kept) > (0 if first else size):
        tail = max(0, len(kept) - size)
        yield start + tail, kept[tail:]


def _pcm(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Yields what a stream of 16-bit samples holds, as soon as it is there."""
    read = getattr(stream, "read1", stream.read)
    rest = b""
    while data := read(MAX_PCM_BYTES):
        data = rest + data
        # A pipe may cut a sample in two.
        whole = len(data) - len(data) % 2
        rest = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768


def _mono(samples: np.ndarray) -> np.ndarray:
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def _resampled(samples: np.ndarray, found_hz: int, wanted_hz: int) -> np.ndarray:
    mono = _mono(np.asarray(samples, np.float32))
    if found_hz == wanted_hz:
        return mono
    return soxr.resample(mono, found_hz, wanted_hz)
