"""Writes recordings, and hashes the audio in them."""

import hashlib
import io
from pathlib import Path

import numpy as np
import soundfile

from ser_keras.audio.limits import SAMPLE_RATE_HZ
from ser_keras.files import replacing


def write_wav(path: str | Path, waveform: np.ndarray, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Writes float audio of -1..1 as 16-bit WAV; the file appears complete or not at all.

    Args:
        path: where; an existing file is replaced.
        waveform: float (samples,) or (samples, channels); values beyond -1..1 are clipped.
        sample_rate_hz: int.
    """
    # libsndfile prints a traceback of its own for every error of a stream, such as a full disk.
    content = io.BytesIO()
    soundfile.write(content, _int16(waveform), sample_rate_hz, format="WAV")
    with replacing(Path(path)) as stream:
        stream.write(content.getvalue())


def content_hash(waveform: np.ndarray) -> str:
    """Returns the sha256 (hex) of the audio itself, the same for a WAV and its FLAC copy.

    Args:
        waveform: float (samples,), as `read_audio` returns it; quantised to 16 bits.
    """
    return hashlib.sha256(_int16(waveform).astype("<i2", copy=False).tobytes()).hexdigest()


def _int16(waveform: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.asarray(waveform) * 32768.0), -32768, 32767).astype(np.int16)
