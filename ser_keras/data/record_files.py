"""The framing of TFRecord files, without TensorFlow."""

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from ser_keras.errors import SchemaError

_CRC_MASK = 0xA282EAD8


def frame_record(record: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns what a TFRecord file holds for a record: head, the record itself (uncopied), tail.

    Length, masked CRC-32C of the length, record, masked CRC-32C of the record; see
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.

    Example:
        >>> [len(part) for part in frame_record(b"abc")]
        [12, 3, 4]
    """
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length), record, _masked_crc(record)


def read_framed(path: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file; `frame_record` is the inverse.

    Raises:
        SchemaError: the file is cut off, or a checksum is not that of its content.
    """
    with open(path, "rb") as stream:
        while head := stream.read(12):
            # A damaged length may be any number; it is not believed before its checksum fits.
            whole = len(head) == 12 and head[8:] == _masked_crc(head[:8])
            record = stream.read(struct.unpack("<Q", head[:8])[0]) if whole else b""
            if not whole or stream.read(4) != _masked_crc(record):
                raise SchemaError(
                    f"{path}: found a damaged record before byte {stream.tell()}, expected its "
                    "checksums to fit. Make the file again with the command that wrote it."
                )
            yield record


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF)
