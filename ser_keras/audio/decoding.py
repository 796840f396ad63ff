"""Chooses who decodes a recording, by its first bytes."""

from contextlib import AbstractContextManager
from typing import BinaryIO

from ser_keras.audio import ffmpeg, sndfile
from ser_keras.audio.formats import HEAD_BYTES, check_not_empty, foreign_format
from ser_keras.audio.limits import AudioLimits
from ser_keras.audio.sound import Sound


def decoded(stream: BinaryIO, limits: AudioLimits, where: str) -> AbstractContextManager[Sound]:
    """Checks a recording's header and leaves the samples to be decoded.

    Args:
        stream: an open file, at its beginning, on the disk or in memory.
        limits: what the header may state.
        where: name of the recording.

    Returns:
        The context in which the `Sound` can be read.

    Raises:
        AudioError: the content or the header is refused.
    """
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    check_not_empty(head, where)
    kind = foreign_format(head)
    if kind is None:
        return sndfile.decoded(stream, limits, where)
    return ffmpeg.decoded(stream, kind, limits, where)
