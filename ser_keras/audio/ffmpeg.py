"""Decodes what telephones and browsers record by the program ffmpeg, where it is installed.

ffmpeg is told the format, so that no file can pass for a playlist and lead it to others, and reads
an open file, so that no name can pass for an option or an address.
"""

import math
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import IO, BinaryIO, cast

import numpy as np

from ser_keras.audio.checks import check_header
from ser_keras.audio.chunks import wav_rate_and_channels
from ser_keras.audio.formats import EXPECTED, ForeignFormat
from ser_keras.audio.limits import AudioLimits
from ser_keras.audio.sound import BLOCK_FRAMES, Sound
from ser_keras.errors import AudioError

_LONGEST_WAIT_S = 60.0
_SAMPLE_BYTES = 4
_MESSAGE_BYTES = 2**16
# ffmpeg ends well where the file ends before its container says; only these words tell.
_CUT_OFF = ("partial file", "ended prematurely")


@contextmanager
def decoded(
    stream: BinaryIO, kind: ForeignFormat, limits: AudioLimits, where: str
) -> Iterator[Sound]:
    """Starts ffmpeg, checks the header of what it writes and leaves the samples to be read.

    Args:
        stream: an open file, on the disk or in memory.
        kind: its format.
        limits: what the header may state; decoding ends just beyond the longest duration.
        where: name of the recording.

    Raises:
        AudioError: not_audio without ffmpeg; unreadable, truncated, rate or channels.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioError(
            f"{where}: found {kind.name}, expected {EXPECTED}, or ffmpeg on the path for this "
            f"format. Install ffmpeg, or convert it: {_conversion(where, kind)}.",
            "not_audio",
        )
    with _on_disk(stream) as file, tempfile.TemporaryFile() as messages:
        command = _command(program, kind, f"/dev/fd/{file.fileno()}", limits)
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            pass_fds=(file.fileno(),),
        ) as process:
            output = _Output(process, messages, kind, where)
            try:
                yield output.sound(limits)
            finally:
                process.kill()


def _conversion(where: str, kind: ForeignFormat) -> str:
    """Returns the command that converts a file to WAV."""
    name = PurePath(where).name
    source = name if PurePath(name).suffix else name + kind.ending
    target = str(PurePath(source).with_suffix(".wav"))
    if target == source:
        target = f"{PurePath(source).stem}-converted.wav"
    return shlex.join(["ffmpeg", "-i", source, target])


def _command(program: str, kind: ForeignFormat, path: str, limits: AudioLimits) -> list[str]:
    longest_s = limits.max_duration_s
    return [
        *(program, "-nostdin", "-hide_banner", "-v", "error"),
        *("-protocol_whitelist", "file,pipe", "-f", kind.demuxer),
        # What is beyond the limit is refused, so that none of it but the first second is needed.
        *(("-t", f"{longest_s + 1:.3f}") if math.isfinite(longest_s) else ()),
        *("-i", f"file:{path}"),
        *("-vn", "-sn", "-dn", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"),
    ]


@contextmanager
def _on_disk(stream: BinaryIO) -> Iterator[IO[bytes]]:
    """Yields a file that another process can seek in: the stream itself if it is one."""
    try:
        stream.fileno()
    except OSError:
        with tempfile.TemporaryFile() as file:
            stream.seek(0)
            shutil.copyfileobj(stream, file)
            file.flush()
            yield file
    else:
        yield stream


class _Output:
    """The WAV that ffmpeg writes into a pipe, and what it says of the file beside."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        messages: IO[bytes],
        kind: ForeignFormat,
        where: str,
    ):
        self._process = process
        self._pipe = cast(IO[bytes], process.stdout)
        self._messages = messages
        self._kind = kind
        self._where = where
        self._is_late = False

    def sound(self, limits: AudioLimits) -> Sound:
        """Reads and checks the header."""
        header = wav_rate_and_channels(self._read)
        if header is None:
            raise self._error("unreadable")
        rate_hz, num_channels = header
        check_header(rate_hz, num_channels, limits, self._where)
        return Sound(rate_hz, num_channels, None, self._blocks(num_channels))

    def _blocks(self, num_channels: int) -> Iterator[np.ndarray]:
        frame_bytes = num_channels * _SAMPLE_BYTES
        while data := self._read(BLOCK_FRAMES * frame_bytes):
            whole = data[: len(data) - len(data) % frame_bytes]
            yield np.frombuffer(whole, "<f4").reshape(-1, num_channels)
        if self._process.wait() != 0 or any(words in self._text() for words in _CUT_OFF):
            raise self._error("truncated")

    def _read(self, num_bytes: int) -> bytes:
        """Reads so many bytes, or fewer where the output ends; ends an ffmpeg that hangs."""
        timer = threading.Timer(_LONGEST_WAIT_S, self._end)
        timer.start()
        try:
            return self._pipe.read(num_bytes)
        finally:
            timer.cancel()

    def _end(self) -> None:
        self._is_late = True
        self._process.kill()

    def _text(self) -> str:
        self._messages.seek(0)
        return self._messages.read(_MESSAGE_BYTES).decode("utf-8", "backslashreplace")

    def _error(self, kind: str) -> AudioError:
        self._process.wait()
        if self._is_late:
            kind, reason = "unreadable", f"no answer within {_LONGEST_WAIT_S:g} s"
        else:
            # "[mov @ 0x55d0] moov atom not found", and below it what follows from that.
            first = self._text().partition("\n")[0]
            reason = first.rpartition("] ")[2].strip().rstrip(".") or "it says nothing"
        return AudioError(
            f"{self._where}: found {self._kind.name} that ffmpeg cannot decode to its end "
            f"({reason}), expected a whole recording. The file is cut off or damaged, or holds no "
            "sound; copy it again.",
            kind,
        )
