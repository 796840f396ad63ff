"""Reads and decodes recordings."""

import io
import os
import stat
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser_keras.audio.checks import (
    check_content,
    check_duration,
    check_header,
    check_samples,
    check_wav,
    printable,
)
from ser_keras.audio.limits import DEFAULT_LIMITS, SAMPLE_RATE_HZ, AudioLimits
from ser_keras.errors import AudioError

_INSPECT_FIRST_BYTES = 32 * 2**20
_BLOCK_FRAMES = 2**18


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
        limits: what its header may state.
        name: its name in errors; the path by default.
        sample_rate_hz: int. Rate to resample to.

    Returns:
        float32 (samples,), mono, finite, not all zero; mean of the channels, resampled by soxr at
        its HQ quality.

    Raises:
        AudioError: the recording cannot be used; says where, what was found and what to do.

    Example:
        >>> tone = np.sin(np.arange(16000, dtype=np.float32) / 8) / 2
        >>> file = io.BytesIO()
        >>> soundfile.write(file, tone, 16000, format="FLAC")
        >>> read_audio(file.getvalue()).shape
        (16000,)
    """
    data = source if isinstance(source, bytes) else read_bytes(source, limits=limits, name=name)
    where = printable(name or ("audio bytes" if isinstance(source, bytes) else source))
    check_content(data[:12], len(data), where)
    if data[:4] == b"RIFF":
        check_wav(data, limits, where)
    try:
        mono, rate = _decode(io.BytesIO(data), limits, where)
        check_samples(mono, where)
        if rate != sample_rate_hz:
            mono = soxr.resample(mono, rate, sample_rate_hz, quality="HQ")
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
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(
                f"{where}: found {_file_type(status.st_mode)}, expected a WAV or FLAC file. Remove "
                "it from the corpus, or give the file itself.",
                "unreadable",
            )
        with open(path, "rb") as stream:
            if status.st_size > _INSPECT_FIRST_BYTES:
                check_content(stream.read(12), status.st_size, where)
                stream.seek(0)
                with _open(stream, where) as sound:
                    check_header(sound.samplerate, sound.channels, limits, where)
                    check_duration(sound.frames, sound.samplerate, limits, where)
                stream.seek(0)
            return stream.read()
    except FileNotFoundError:
        link = os.path.islink(path)
        missing = f"a link to {printable(os.readlink(path))} (not there)" if link else "no file"
        raise AudioError(
            f"{where}: found {missing}, expected a WAV or FLAC file. Correct the path, or copy the "
            "file again.",
            "missing",
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(
            f"{where}: could not be read ({getattr(error, 'strerror', None) or error}), expected a "
            "WAV or FLAC file. Check the name, the disk and the file's permissions.",
            "unreadable",
        ) from None


def _file_type(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def _open(stream: io.IOBase, where: str) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(stream)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{where}: its header could not be understood ({error.error_string.rstrip('.')}), "
            "expected WAV or FLAC. The file is damaged or of a rare kind; copy it again, or "
            "convert it to 16-bit WAV.",
            "unreadable",
        ) from None


def _decode(stream: io.IOBase, limits: AudioLimits, where: str) -> tuple[np.ndarray, int]:
    """Decodes in blocks, so that memory follows the file's content and not its header."""
    reason = "the file ends early"
    with _open(stream, where) as sound:
        frames, rate = sound.frames, sound.samplerate
        check_header(rate, sound.channels, limits, where)
        check_duration(frames, rate, limits, where)
        blocks = []
        decoded = 0
        while decoded < frames:
            try:
                block = sound.read(min(_BLOCK_FRAMES, frames - decoded), "float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                reason = error.error_string.rstrip(".")
                break
            if not len(block):
                break
            with np.errstate(all="ignore"):
                blocks.append(block[:, 0] if sound.channels == 1 else block.mean(axis=1))
            decoded += len(block)
    if decoded < frames:
        raise AudioError(
            f"{where}: found {decoded} decodable samples ({reason}), expected the {frames} its "
            "header promises. The file is cut off or damaged; copy it again.",
            "truncated",
        )
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks)), rate
