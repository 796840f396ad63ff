"""Reads whole recordings."""

import io
import os
from pathlib import Path

import numpy as np
import soxr

from ser_keras.audio.decoding import decoded
from ser_keras.audio.limits import DEFAULT_LIMITS, SAMPLE_RATE_HZ, AudioLimits
from ser_keras.audio.opening import open_recording, printable, refusing_unreadable
from ser_keras.audio.sound import Mixdown
from ser_keras.errors import AudioError

_INSPECT_FIRST_BYTES = 32 * 2**20


def read_audio(
    source: str | Path | bytes,
    *,
    limits: AudioLimits = DEFAULT_LIMITS,
    name: str | None = None,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
) -> np.ndarray:
    """Decodes one recording to float32 mono at one sampling rate.

    Args:
        source: path of the file, or the bytes of one.
        limits: what its header may state, and what may be decoded where it states nothing.
        name: its name in errors; the path by default.
        sample_rate_hz: int. Rate to resample to.

    Returns:
        float32 (samples,), mono, finite, not all zero; mean of the channels, resampled by soxr at
        its HQ quality.

    Raises:
        AudioError: the recording cannot be used; says where, what was found and what to do.

    Example:
        >>> import soundfile
        >>> tone = np.sin(np.arange(16000, dtype=np.float32) / 8) / 2
        >>> file = io.BytesIO()
        >>> soundfile.write(file, tone, 16000, format="FLAC")
        >>> read_audio(file.getvalue()).shape
        (16000,)
    """
    data = source if isinstance(source, bytes) else read_bytes(source, limits=limits, name=name)
    where = printable(name or ("audio bytes" if isinstance(source, bytes) else source))
    try:
        with decoded(io.BytesIO(data), limits, where) as sound:
            mixdown = Mixdown(sound, limits, where)
            blocks = list(mixdown.blocks())
            mixdown.check_whole()
        mono = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if sound.rate_hz != sample_rate_hz:
            mono = soxr.resample(mono, sound.rate_hz, sample_rate_hz, quality="HQ")
    except MemoryError:
        raise AudioError(
            f"{where}: decoding asked for more memory than there is, expected a recording that "
            "fits. Its header is probably damaged; copy the file again.",
            "unreadable",
        ) from None
    return np.ascontiguousarray(mono, dtype=np.float32)


def read_bytes(
    path: str | Path, *, limits: AudioLimits = DEFAULT_LIMITS, name: str | None = None
) -> bytes:
    """Returns the bytes of a recording's file, for callers that hash and decode them.

    Opens nothing that could block, such as a pipe or a device, and checks the header of a large
    file before reading the rest of it.

    Raises:
        AudioError: there is no readable file, or a large one is over the limits.
    """
    where = printable(name or path)
    with open_recording(path, where) as stream, refusing_unreadable(path, where):
        if os.fstat(stream.fileno()).st_size > _INSPECT_FIRST_BYTES:
            with decoded(stream, limits, where):
                pass
            stream.seek(0)
        return stream.read()
