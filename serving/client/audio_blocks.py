"""Audio of any length, block by block, at the rate of a model. Needs numpy, soundfile and soxr."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile
import soxr

BLOCK_S = 10.0
MAX_PCM_BYTES = 2**16

AudioSource = str | Path | np.ndarray | BinaryIO | Iterator[np.ndarray]


def blocks_of(source: AudioSource, source_hz: int, target_hz: int) -> Iterator[np.ndarray]:
    """Yields mono blocks (n,), float32, of a source.

    Args:
        source: path of an audio file, samples (n,) or (n, channels), -1 to 1, an open binary stream
            of 16-bit little-endian mono samples, or an iterator of blocks (n,) at `target_hz`.
        source_hz: int. Rate of the samples or the stream; files carry their own.
        target_hz: int. Rate of the blocks.

    Raises:
        soundfile.LibsndfileError: the file cannot be read.
    """
    if isinstance(source, np.ndarray):
        yield _resampled(source, source_hz, target_hz)
        return
    if not isinstance(source, (str, Path)):
        # An open stream is an iterator, too, but of lines.
        if not hasattr(source, "read"):
            yield from source
            return
        resampler = soxr.ResampleStream(source_hz, target_hz, 1, np.float32)
        for block in _pcm(cast(BinaryIO, source)):
            yield resampler.resample_chunk(block)
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return
    with soundfile.SoundFile(source) as file:
        resampler = soxr.ResampleStream(file.samplerate, target_hz, 1, np.float32)
        size = round(BLOCK_S * file.samplerate)
        # A short read is the end, whatever the header says of the length.
        last = False
        while not last:
            block = file.read(size, dtype=np.float32)
            last = len(block) < size
            yield resampler.resample_chunk(_mono(block), last=last)


def padded(waveforms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns waveforms (n,) as the inputs of a signature, zeros behind each."""
    batch = np.zeros((len(waveforms), max(map(len, waveforms))), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return {"waveform": batch, "length": np.array([len(row) for row in waveforms], np.int32)}


def windows_of(
    blocks: Iterable[np.ndarray], size: int, hop: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first sample, window) as soon as the window's last sample has arrived.

    The last window ends with the audio. Audio shorter than a window is one window.
    """
    pending, start, is_first = np.zeros(0, np.float32), 0, True
    for block in blocks:
        pending = np.concatenate([pending, block])
        while len(pending) >= size + (0 if is_first else hop):
            if not is_first:
                pending, start = pending[hop:], start + hop
            is_first = False
            yield start, pending[:size]
    if len(pending) > (0 if is_first else size):
        tail = max(0, len(pending) - size)
        yield start + tail, pending[tail:]


def _pcm(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Yields the samples of a stream of 16-bit values as they arrive."""
    read = getattr(stream, "read1", stream.read)
    half_sample = b""
    while data := read(MAX_PCM_BYTES):
        data = half_sample + data
        # A pipe may cut a sample in two.
        whole = len(data) - len(data) % 2
        half_sample = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768


def _mono(samples: np.ndarray) -> np.ndarray:
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def _resampled(samples: np.ndarray, source_hz: int, target_hz: int) -> np.ndarray:
    mono = _mono(np.asarray(samples, np.float32))
    if source_hz == target_hz:
        return mono
    return soxr.resample(mono, source_hz, target_hz)
