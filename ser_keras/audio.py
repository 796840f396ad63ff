"""Recordings in, one form out: any accepted file becomes float32 mono at 16 kHz.

A recording is judged by its content, never by its name, and its header is held against
`AudioLimits` before anything is decoded: an hour of silence is 89 kB of FLAC. WAV and FLAC are
accepted with any sample format libsndfile reads, at 4 to 192 kHz, with up to eight channels, which
are averaged. Everything else is refused by an `AudioError` whose `kind` is a stable word for
counters: missing, empty, not_audio, truncated, too_long, too_short, rate, channels, not_finite,
silent or unreadable.
"""

import hashlib
import io
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser_keras.errors import AudioError
from ser_keras.files import replacing

SAMPLE_RATE_HZ = 16000

_INSPECT_FIRST_BYTES = 32 * 2**20
_BLOCK_FRAMES = 2**18
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


@dataclass(frozen=True)
class AudioLimits:
    """What a header may promise before a recording is decoded.

    Args:
        max_duration_s: float. Longest recording.
        min_rate_hz: int. Lowest sampling rate.
        max_rate_hz: int. Highest sampling rate.
        max_channels: int. Most channels.
        min_duration_s: float. Shortest recording.
    """

    max_duration_s: float = 600.0
    min_rate_hz: int = 4000
    max_rate_hz: int = 192000
    max_channels: int = 8
    min_duration_s: float = 0.05


_DEFAULT_LIMITS = AudioLimits()


def read_audio(
    source: str | Path | bytes,
    *,
    limits: AudioLimits = _DEFAULT_LIMITS,
    name: str | None = None,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
) -> np.ndarray:
    """Decodes one recording to the form everything downstream works on.

    Args:
        source: path of the file, or the bytes of one.
        limits: what its header may promise.
        name: what errors call it; the path by default.
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
    where = _printable(name or ("audio bytes" if isinstance(source, bytes) else source))
    _check_content(data[:12], len(data), where)
    if data[:4] == b"RIFF":
        _check_wav(data, limits, where)
    try:
        mono, rate = _decode(io.BytesIO(data), limits, where)
        _check_samples(mono, where)
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
    path: str | Path, *, limits: AudioLimits = _DEFAULT_LIMITS, name: str | None = None
) -> bytes:
    """Reads a recording's file, for callers that need its bytes (to hash them) and its audio.

    Never opens what could block (a pipe, a device), and looks at the header of a large file before
    reading the rest of it.

    Raises:
        AudioError: there is no readable file, or a large one is over the limits.
    """
    where = _printable(name or path)
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
                _check_content(stream.read(12), status.st_size, where)
                stream.seek(0)
                with _open(stream, where) as sound:
                    _check_header(sound.samplerate, sound.channels, limits, where)
                    _check_duration(sound.frames, sound.samplerate, limits, where)
                stream.seek(0)
            return stream.read()
    except FileNotFoundError:
        link = os.path.islink(path)
        found = f"a link to {_printable(os.readlink(path))} (not there)" if link else "no file"
        raise AudioError(
            f"{where}: found {found}, expected a WAV or FLAC file. Correct the path, or copy the "
            "file again.",
            "missing",
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(
            f"{where}: could not be read ({getattr(error, 'strerror', None) or error}), expected a "
            "WAV or FLAC file. Check the name, the disk and the file's permissions.",
            "unreadable",
        ) from None


def write_wav(path: str | Path, waveform: np.ndarray, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Writes float audio of -1..1 as 16-bit WAV; the file appears complete or not at all.

    Args:
        path: where; an existing file is replaced.
        waveform: float (samples,) or (samples, channels); values beyond -1..1 are clipped.
        sample_rate_hz: int.
    """
    with replacing(Path(path)) as stream:
        soundfile.write(stream, _int16(waveform), sample_rate_hz, format="WAV")


def content_hash(waveform: np.ndarray) -> str:
    """Returns the sha256 (hex) of the audio itself, the same for a WAV and its FLAC copy.

    Args:
        waveform: float (samples,), as `read_audio` returns it; quantised to 16 bits.
    """
    return hashlib.sha256(_int16(waveform).astype("<i2", copy=False).tobytes()).hexdigest()


def _int16(waveform: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.asarray(waveform) * 32768.0), -32768, 32767).astype(np.int16)


def _printable(name: str | Path) -> str:
    return os.fspath(name).encode("utf-8", "backslashreplace").decode()


def _file_type(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def _check_content(head: bytes, size: int, where: str) -> None:
    if size == 0:
        raise AudioError(
            f"{where}: found an empty file (0 bytes), expected WAV or FLAC. Copy it again, or "
            "remove it from the corpus.",
            "empty",
        )
    if head[:4] == b"fLaC" or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return
    other = next((name for magic, name in _OTHER_CONTENT.items() if head.startswith(magic)), "")
    if not other and head[4:8] == b"ftyp":
        other = "MP4"
    found = f"{other} content" if other else f"content that starts with {head[:8]!r}"
    raise AudioError(
        f"{where}: found {found}, expected WAV or FLAC (the name's ending does not count). Convert "
        "it to WAV or FLAC, or remove it from the corpus.",
        "not_audio",
    )


def _check_wav(data: bytes, limits: AudioLimits, where: str) -> None:
    """Walks the chunks: libsndfile reads a WAV whose end is missing without a word."""
    position = 12
    while position + 8 <= len(data):
        tag, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if tag == b"fmt " and position + 8 <= len(data):
            channels, rate = struct.unpack_from("<2xHI", data, position)
            _check_header(rate, channels, limits, where)
        if tag == b"data":
            held = len(data) - position
            if size > held:
                raise AudioError(
                    f"{where}: found {held} bytes of samples, expected the {size} its header "
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


def _check_header(rate: int, channels: int, limits: AudioLimits, where: str) -> None:
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


def _check_duration(frames: int, rate: int, limits: AudioLimits, where: str) -> None:
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
    """Decodes in blocks, so that memory follows what the file holds, not what it promises."""
    reason = "the file ends early"
    with _open(stream, where) as sound:
        frames, rate = sound.frames, sound.samplerate
        _check_header(rate, sound.channels, limits, where)
        _check_duration(frames, rate, limits, where)
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


def _check_samples(mono: np.ndarray, where: str) -> None:
    peak = max(float(mono.max()), -float(mono.min()))
    if not peak <= _LARGEST_SAMPLE:
        found = "NaN" if np.isnan(mono).any() else f"a sample of {peak:g}"
        raise AudioError(
            f"{where}: found {found}, expected finite samples of about -1 to 1. Export the "
            "recording again as 16-bit WAV.",
            "not_finite",
        )
    if peak == 0.0:
        raise AudioError(
            f"{where}: found {len(mono)} samples that are all zero, expected speech. Record it "
            "again, or remove it from the corpus.",
            "silent",
        )
