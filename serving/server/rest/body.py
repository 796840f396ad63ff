"""The JSON in the body of a request, measured before it is parsed."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pydantic_core import from_json

from serving.server.errors import RequestError
from serving.server.requests.memory import MemoryBudget, Share

BLOCK_BYTES = 2**18
# The longest waveform, of two minutes at 16 kHz, has 1,920,000 numbers. Python does nothing else
# while JSON is parsed, so more values would keep other requests waiting.
MAX_VALUES = 2_000_000
# Of arrays and objects. Those of maps or features with a list per frame are fewer.
MAX_LISTS = 250_000
# Memory of a float in a list, of an array or object with one entry, and of the text and its copies.
VALUE_BYTES, LIST_BYTES, TEXT_COPIES = 32, 240, 4
GZIP_WINDOW = 31


class BodyTooLargeError(RequestError):
    """The body is larger than the server accepts."""

    @property
    def http_status(self) -> int:
        """The HTTP status of the error in REST."""
        return 413


@contextmanager
def json_of(
    stream: BinaryIO, encoding: str, *, max_bytes: int, budget: MemoryBudget, wait_s: float
) -> Iterator[tuple[dict[str, Any], Share]]:
    """Gives (the object in a body, the share of memory for it, which lasts as long as the context).

    Args:
        stream: the body, at its start. It is read twice, so that its parts are counted before its
            memory is taken.
        encoding: str. Content-Encoding of the request.
        max_bytes: int. Largest text.
        budget: memory of all requests.
        wait_s: float. Most time to wait for memory.

    Raises:
        RequestError: the body is too large, holds too many values, or is no JSON object.
    """
    compressed = encoding.strip().lower() in ("gzip", "x-gzip")
    if not compressed and encoding.strip().lower() not in ("", "identity"):
        raise RequestError.invalid(f"Content-Encoding is {encoding!r}, expected gzip or none.")
    with budget.wait_for(_memory_of(_blocks(stream, max_bytes, compressed)), wait_s) as share:
        yield _parsed(b"".join(_blocks(stream, max_bytes, compressed))), share


def _blocks(stream: BinaryIO, max_bytes: int, compressed: bool) -> Iterator[bytes]:
    """Gives the text of a body in blocks."""
    stream.seek(0)
    length = 0
    blocks = iter(lambda: stream.read(BLOCK_BYTES), b"")
    for block in _decompressed(blocks) if compressed else blocks:
        length += len(block)
        if length > max_bytes:
            raise BodyTooLargeError.invalid(
                f"The body has more than {max_bytes} bytes; send less audio, or WAV files in base "
                "64, or use gRPC."
            )
        yield block


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    gzip = zlib.decompressobj(GZIP_WINDOW)
    try:
        for block in blocks:
            remaining = block
            while remaining and not gzip.eof:
                yield gzip.decompress(remaining, BLOCK_BYTES)
                remaining = gzip.unconsumed_tail
            if gzip.unused_data:
                raise RequestError.invalid("The body holds more than one piece of gzip data.")
        if not gzip.eof:
            raise RequestError.invalid("The gzip data in the body are incomplete.")
    except zlib.error:
        raise RequestError.invalid("The body is not gzip data.") from None


def _memory_of(blocks: Iterator[bytes]) -> int:
    """Returns the bytes of memory that parsing takes at most."""
    length = values = lists = 0
    for block in blocks:
        length += len(block)
        values += block.count(b",")
        lists += block.count(b"[") + block.count(b"{")
    if values > MAX_VALUES or lists > MAX_LISTS:
        raise BodyTooLargeError.invalid(
            f"The JSON holds {values} commas and {lists} arrays and objects, expected at most "
            f"{MAX_VALUES} and {MAX_LISTS}."
        )
    return TEXT_COPIES * length + VALUE_BYTES * values + LIST_BYTES * lists


def _parsed(text: bytes) -> dict[str, Any]:
    if not text:
        raise RequestError.invalid("JSON Parse error: The document is empty")
    try:
        # It limits how deep values are nested, and how many digits an integer has.
        body = from_json(text, cache_strings="keys")
    except ValueError as error:
        raise RequestError.invalid(f"JSON Parse error: {error}") from None
    if not isinstance(body, dict):
        raise RequestError.invalid("JSON Value: not an object. Expected one with 'instances'.")
    return body
