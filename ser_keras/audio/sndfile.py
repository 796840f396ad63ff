"""Decodes what libsndfile opens: WAV, FLAC, Ogg, MP3, AIFF, AU, CAF, RF64, W64 and rarer ones."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile

from ser_keras.audio import chunks
from ser_keras.audio.checks import check_duration, check_header
from ser_keras.audio.formats import EXPECTED, HEAD_BYTES, is_of_libsndfile, no_audio
from ser_keras.audio.limits import AudioLimits
from ser_keras.audio.sound import BLOCK_FRAMES, Sound
from ser_keras.errors import AudioError

# libsndfile states 2^63 - 1 for a header without a length.
_NO_LENGTH_FRAMES = 2**62
# The header of an MP3 counts frames of 1152 samples and forgets the encoder's padding.
_ESTIMATE_RATIO = 0.05
_ESTIMATE_S = 0.5
# The rest may be tags and a picture.
_LEAST_READ_OF_MP3 = 0.5


class _Sequential(soundfile.SoundFile):
    """A file that is read from front to back.

    After each read soundfile seeks to where it is, which GSM and a FLAC without a length refuse.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def decoded(stream: BinaryIO, limits: AudioLimits, where: str) -> Iterator[Sound]:
    """Reads a header, checks it and leaves the samples to be decoded.

    Args:
        stream: an open file, at its beginning.
        limits: what the header may state.
        where: name of the recording.

    Raises:
        AudioError: not_audio, unreadable, truncated, rate, channels, too_long or too_short.
    """
    head = stream.read(HEAD_BYTES)
    with _opened(chunks.with_length(stream, limits, where), head, where) as file:
        check_header(file.samplerate, file.channels, limits, where)
        num_frames = None if file.frames >= _NO_LENGTH_FRAMES else file.frames
        if num_frames is not None:
            check_duration(num_frames, file.samplerate, limits, where)
        blocks = _blocks(file, num_frames, where)
        if file.format == "MP3":
            blocks = _whole_mp3(blocks, stream, where)
        yield Sound(file.samplerate, file.channels, num_frames, blocks)


def _opened(stream: BinaryIO | io.RawIOBase, head: bytes, where: str) -> soundfile.SoundFile:
    try:
        return _Sequential(stream)
    except soundfile.LibsndfileError as error:
        if not is_of_libsndfile(head):
            raise no_audio(head, where) from None
        raise AudioError(
            f"{where}: its header could not be understood ({_reason(error)}), expected {EXPECTED}. "
            "The file is damaged or of a rare kind; copy it again, or convert it to 16-bit WAV.",
            "unreadable",
        ) from None


def _blocks(file: soundfile.SoundFile, num_frames: int | None, where: str) -> Iterator[np.ndarray]:
    """Decodes up to the length in the header, or as far as it goes where there is none."""
    reason = None
    num_decoded = 0
    while num_frames is None or num_decoded < num_frames:
        left = BLOCK_FRAMES if num_frames is None else num_frames - num_decoded
        try:
            block = file.read(min(BLOCK_FRAMES, left), "float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = _reason(error)
            break
        if not len(block):
            break
        num_decoded += len(block)
        yield block
    if num_frames is None:
        if reason is not None:
            raise _cut_off(num_decoded, reason, "an end", where)
        return
    is_estimate = file.format == "MP3"
    tolerance = max(_ESTIMATE_RATIO * num_frames, _ESTIMATE_S * file.samplerate)
    if num_frames - num_decoded > (tolerance if is_estimate else 0):
        promise = f"the {num_frames} its header promises"
        raise _cut_off(num_decoded, reason or "the file ends early", promise, where)


def _whole_mp3(blocks: Iterator[np.ndarray], stream: BinaryIO, where: str) -> Iterator[np.ndarray]:
    """Yields the blocks of an MP3, and refuses one that libsndfile decodes only in part.

    Where its header states no length, libsndfile estimates one from the first bit rate and stops
    there, although more may follow.
    """
    yield from blocks
    num_read = stream.tell()
    num_bytes = stream.seek(0, io.SEEK_END)
    if num_read < _LEAST_READ_OF_MP3 * num_bytes:
        raise AudioError(
            f"{where}: found an MP3 of varying bit rate that states no length, of which {num_read} "
            f"of {num_bytes} bytes were decoded, expected a length in its header. Convert it: "
            "ffmpeg -i in.mp3 out.wav.",
            "unreadable",
        )


def _cut_off(num_decoded: int, reason: str, promise: str, where: str) -> AudioError:
    return AudioError(
        f"{where}: found {num_decoded} decodable samples ({reason}), expected {promise}. The file "
        "is cut off or damaged; copy it again.",
        "truncated",
    )


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).rstrip(".")
