"""The lengths in the headers of WAV and its relatives, compared with what is there.

libsndfile reads a file of these that is cut off without an error. A header that was written before
the length was known, into a pipe or by a recorder that was never closed, it takes by its word and
reads nothing, or refuses.
"""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from ser_keras.audio.checks import check_header
from ser_keras.audio.formats import HEAD_BYTES
from ser_keras.audio.limits import AudioLimits
from ser_keras.audio.opening import Replaced
from ser_keras.errors import AudioError

# sox writes 2 GiB less 4 kB, rounded down to a whole block; others write 2 or 4 GiB, or almost.
_NOT_MEANT_32 = (range(0x7FFE0000, 0x80000001), range(0xFFFF0000, 0x100000000))
_NOT_MEANT_64 = (range(2**62, 2**64),)
# A chunk's body is looked at so far.
_BODY_BYTES = 32
_W64_REST = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


@dataclass(frozen=True)
class _Layout:
    """How a container lays out its chunks, each a tag, a size and a body.

    Args:
        name: str.
        start: int. Position of the first chunk.
        order: str. Order of the bytes in a number, "<" or ">".
        size: str. `struct` code of a size.
        tag_rest: bytes. What follows the four letters of a tag.
        samples: bytes. Letters of the chunk that holds the samples.
        before_samples: int. Bytes of its body in front of them.
        align: int. A body is padded to a multiple of so many bytes.
        states_whole: bool. Whether the size of all that follows stands at byte 4.
    """

    name: str
    start: int = 12
    order: str = "<"
    size: str = "I"
    tag_rest: bytes = b""
    samples: bytes = b"data"
    before_samples: int = 0
    align: int = 2
    states_whole: bool = False

    @property
    def head(self) -> struct.Struct:
        """Tag and size."""
        return struct.Struct(f"{self.order}{4 + len(self.tag_rest)}s{self.size}")

    @property
    def size_counts(self) -> int:
        """Bytes in a chunk's size that are not of its body: in W64, tag and size themselves."""
        return self.head.size if self.tag_rest else 0


_WAV = _Layout("WAV", states_whole=True)
_BIG_ENDIAN_WAV = _Layout("WAV", order=">", states_whole=True)
_RF64 = _Layout("RF64")
_AIFF = _Layout("AIFF", order=">", samples=b"SSND", before_samples=8, states_whole=True)
_CAF = _Layout("CAF", 8, order=">", size="Q", before_samples=4, align=1)
_W64 = _Layout("W64", 40, size="Q", tag_rest=_W64_REST, align=8)
_BY_FORM = {
    (b"RIFF", b"WAVE"): _WAV,
    (b"RIFX", b"WAVE"): _BIG_ENDIAN_WAV,
    (b"RF64", b"WAVE"): _RF64,
    (b"FORM", b"AIFF"): _AIFF,
    (b"FORM", b"AIFC"): _AIFF,
}
_BY_MAGIC = {b"caff": _CAF, b"riff": _W64}


class _Chunk(NamedTuple):
    """Four letters, position of the body, its size, and its first bytes if it holds no samples."""

    letters: bytes
    start: int
    size: int
    body: bytes


class _Length(NamedTuple):
    """What a header says of the bytes of samples.

    Args:
        start: int. Position of the first sample.
        stated: int. How many bytes there are by the header.
        at: int. Position of that number.
        code: str. `struct` code of that number.
        counts: int. How many bytes that number counts beside the samples.
    """

    start: int
    stated: int
    at: int
    code: str
    counts: int = 0

    @property
    def is_meant(self) -> bool:
        """Tells whether the number is one that stands for a length."""
        not_meant = _NOT_MEANT_64 if self.code.endswith("Q") else _NOT_MEANT_32
        return not any(self.stated + self.counts in sizes for sizes in not_meant)


def with_length(stream: BinaryIO, limits: AudioLimits, where: str) -> BinaryIO | io.RawIOBase:
    """Returns a stream, at its beginning, whose header states the length that there is.

    Args:
        stream: an open file of any format; only WAV and its relatives are looked at.
        limits: for rate and channels of WAV, of which libsndfile refuses some without naming them.
        where: name of the recording.

    Raises:
        AudioError: truncated, rate or channels.
    """
    num_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    layout = _BY_MAGIC.get(head[:4]) or _BY_FORM.get((head[:4], head[8:12]))
    length = (
        _length_of_au(head)
        if layout is None
        else _length_in_chunks(stream, layout, num_bytes, limits, where)
    )
    stream.seek(0)
    if length is None:
        return stream
    available = max(0, num_bytes - length.start)
    whole = None
    if layout is not None and layout.states_whole:
        (whole,) = struct.unpack_from(f"{layout.order}I", head, 4)
    if not _has_length(length, whole, available, num_bytes):
        return Replaced(stream, length.at, _stated(length, available))
    if length.stated > available:
        raise AudioError(
            f"{where}: found {available} bytes of samples, expected the {length.stated} its header "
            "promises. The file is cut off; copy it again.",
            "truncated",
        )
    return stream


def wav_rate_and_channels(read: Callable[[int], bytes]) -> tuple[int, int] | None:
    """Reads a WAV stream up to its first sample.

    Args:
        read: reads so many bytes of a stream that cannot be sought in.

    Returns:
        Sampling rate in Hz and number of channels, or None if the stream ends before.
    """
    read(_WAV.start)
    rate_and_channels = None
    for chunk in _chunks(_WAV, read, read):
        if chunk.letters == b"fmt ":
            rate_and_channels = _rate_and_channels(chunk, _WAV)
        elif chunk.letters == _WAV.samples:
            return rate_and_channels
    return None


def _has_length(length: _Length, whole: int | None, available: int, num_bytes: int) -> bool:
    """Tells whether a header states a length, be it right or wrong.

    Args:
        length: what it says of the samples.
        whole: what it says of all that follows its first eight bytes, if anything.
        available: bytes from the first sample to the end of the file.
        num_bytes: size of the file.
    """
    if length.stated <= 0:
        # An empty recording that was closed says so in both numbers.
        return not available or whole == num_bytes - 8
    if length.stated <= available:
        return True
    return length.is_meant and whole not in (0, 2**32 - 1)


def _chunks(
    layout: _Layout, read: Callable[[int], bytes], skip: Callable[[int], object]
) -> Iterator[_Chunk]:
    """Yields the chunks up to the one with the samples, which is left to be read."""
    position = layout.start
    while len(head := read(layout.head.size)) == layout.head.size:
        tag, size = layout.head.unpack(head)
        position += len(head)
        size -= layout.size_counts
        if tag == layout.samples + layout.tag_rest:
            yield _Chunk(tag[:4], position, size, b"")
            return
        padded = max(0, size + -size % layout.align)
        body = read(min(padded, _BODY_BYTES))
        skip(padded - len(body))
        yield _Chunk(tag[:4], position, size, body)
        position += padded


def _length_in_chunks(
    stream: BinaryIO, layout: _Layout, num_bytes: int, limits: AudioLimits, where: str
) -> _Length:
    size_in_rf64 = None
    stream.seek(layout.start)
    for chunk in _chunks(
        layout, stream.read, lambda size: stream.seek(min(stream.tell() + size, num_bytes))
    ):
        if chunk.letters == b"fmt " and len(chunk.body) >= 8:
            check_header(*_rate_and_channels(chunk, layout), limits, where)
        elif chunk.letters == b"ds64" and len(chunk.body) >= 16:
            (stated,) = struct.unpack_from("<8xQ", chunk.body)
            size_in_rf64 = _Length(0, stated, chunk.start + 8, "<Q")
        elif chunk.letters == layout.samples:
            start = chunk.start + layout.before_samples
            if size_in_rf64 is not None and chunk.size == 2**32 - 1:
                return size_in_rf64._replace(start=start)
            return _Length(
                start,
                chunk.size - layout.before_samples,
                chunk.start - struct.calcsize(layout.size),
                layout.order + layout.size,
                layout.before_samples + layout.size_counts,
            )
    raise AudioError(
        f"{where}: found {num_bytes} bytes of {layout.name} without a data chunk, expected a whole "
        "recording. The file is cut off; copy it again.",
        "truncated",
    )


def _length_of_au(head: bytes) -> _Length | None:
    """Returns the length in the fixed header of AU, or None if the file is not AU."""
    if head[:4] != b".snd" or len(head) < 12:
        return None
    start, stated = struct.unpack_from(">II", head, 4)
    return _Length(start, stated, 8, ">I")


def _rate_and_channels(chunk: _Chunk, layout: _Layout) -> tuple[int, int]:
    num_channels, rate_hz = struct.unpack_from(f"{layout.order}2xHI", chunk.body.ljust(8, b"\0"))
    return rate_hz, num_channels


def _stated(length: _Length, num_bytes: int) -> bytes:
    """Returns the field of a header that states so many bytes of samples, or all it can."""
    largest = 256 ** struct.calcsize(length.code) - 1
    return struct.pack(length.code, min(num_bytes + length.counts, largest))
