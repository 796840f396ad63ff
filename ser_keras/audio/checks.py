"""Checks of a recording's content, header and samples; each raises an `AudioError`."""

import os
import struct
from pathlib import Path

import numpy as np

from ser_keras.audio.limits import AudioLimits
from ser_keras.errors import AudioError

_LARGEST_SAMPLE = 1e6
_OTHER_CONTENT = {
    b"ID3": "MP3 (or an ID3 tag in front)",
    b"\xff\xfb": "MP3",
    b"\xff\xf3": "MP3",
    b"OggS": "Ogg",
    b"FORM": "AIFF",
    b"caff": "Core Audio",
    b"RF64": "RF64",
    b"RIFX": "big-endian RIFF",
    b"RIFF": "RIFF that is not WAVE",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1a\x45\xdf\xa3": "Matroska or WebM",
    b"<": "a web page or XML",
}


def printable(name: str | Path) -> str:
    """Returns a file's name as text that can be printed, whatever its bytes."""
    return os.fspath(name).encode("utf-8", "backslashreplace").decode()


def check_content(head: bytes, size: int, where: str) -> None:
    """Refuses an empty file, and content whose first 12 bytes are not those of WAV or FLAC."""
    if size == 0:
        raise AudioError(
            f"{where}: found an empty file (0 bytes), expected WAV or FLAC. Copy it again, or "
            "remove it from the corpus.",
            "empty",
        )
    if head[:4] == b"fLaC" or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return
    names = (name for magic, name in _OTHER_CONTENT.items() if head.startswith(magic))
    container = next(names, "MP4" if head[4:8] == b"ftyp" else "")
    content = f"{container} content" if container else f"content that starts with {head[:8]!r}"
    raise AudioError(
        f"{where}: found {content}, expected WAV or FLAC (the name's ending does not count). "
        "Convert it to WAV or FLAC, or remove it from the corpus.",
        "not_audio",
    )


def check_wav(data: bytes, limits: AudioLimits, where: str) -> None:
    """Checks the sizes of the chunks: libsndfile reads a WAV that is cut off without an error."""
    position = 12
    while position + 8 <= len(data):
        tag, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if tag == b"fmt " and position + 8 <= len(data):
            channels, rate = struct.unpack_from("<2xHI", data, position)
            check_header(rate, channels, limits, where)
        if tag == b"data":
            available = len(data) - position
            if size > available:
                raise AudioError(
                    f"{where}: found {available} bytes of samples, expected the {size} its header "
                    "promises. The file is cut off; copy it again.",
                    "truncated",
                )
            return
        position += size + size % 2
    raise AudioError(
        f"{where}: found {len(data)} bytes of WAV without a data chunk, expected a whole "
        "recording. The file is cut off; copy it again.",
        "truncated",
    )


def check_header(rate: int, channels: int, limits: AudioLimits, where: str) -> None:
    """Refuses a sampling rate or a number of channels outside the limits."""
    if not limits.min_rate_hz <= rate <= limits.max_rate_hz:
        raise AudioError(
            f"{where}: found a sampling rate of {rate} Hz, expected {limits.min_rate_hz} to "
            f"{limits.max_rate_hz} Hz. Resample the recording, or mend its header.",
            "rate",
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioError(
            f"{where}: found {channels} channels, expected 1 to {limits.max_channels}. Mix the "
            "recording down, or pick its channel with the speaker.",
            "channels",
        )


def check_duration(frames: int, rate: int, limits: AudioLimits, where: str) -> None:
    """Refuses a recording that is too long or too short."""
    duration_s = frames / rate
    if frames >= 2**62:
        raise AudioError(
            f"{where}: found a header that states no length, expected one. Encode the file again "
            "from a file, not from a pipe.",
            "too_long",
        )
    if duration_s > limits.max_duration_s:
        raise AudioError(
            f"{where}: found {duration_s:.1f} s, expected at most {limits.max_duration_s:g} s. Cut "
            "the recording into utterances, or raise the limit.",
            "too_long",
        )
    if duration_s < limits.min_duration_s:
        raise AudioError(
            f"{where}: found {frames} samples ({duration_s:.4f} s), expected at least "
            f"{limits.min_duration_s:g} s. Record it again, or remove it from the corpus.",
            "too_short",
        )


def check_samples(mono: np.ndarray, where: str) -> None:
    """Refuses samples that are not finite, absurdly large or all zero."""
    peak = max(float(mono.max()), -float(mono.min()))
    if not peak <= _LARGEST_SAMPLE:
        sample = "NaN" if np.isnan(mono).any() else f"a sample of {peak:g}"
        raise AudioError(
            f"{where}: found {sample}, expected finite samples of about -1 to 1. Export the "
            "recording again as 16-bit WAV.",
            "not_finite",
        )
    if peak == 0.0:
        raise AudioError(
            f"{where}: found {len(mono)} samples that are all zero, expected speech. Record it "
            "again, or remove it from the corpus.",
            "silent",
        )
