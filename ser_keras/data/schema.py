"""What one record holds and what `schema.json` says: encode, parse, and the facts of a feature set.

A record is a `tf.train.Example`; its features are one bytes value of little-endian float32 beside
their shape, which serialises sixty times faster than a list of floats. Writing needs neither
TensorFlow's import (4 s and 400 MB in every worker of the feature job) nor its classes: the message
is described here, field for field as in tensorflow/core/example/{example,feature}.proto, and a
test holds the bytes against TensorFlow's own. `parse_example` alone needs TensorFlow.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ser_keras.errors import SchemaError

if TYPE_CHECKING:
    import tensorflow as tf

    from ser_keras.data.feature_set import IndexRow

TEXT_KEYS = ("key", "label", "speaker", "session", "sentence", "corpus", "source_sha256")

_CRC_MASK = 0xA282EAD8


@dataclass(frozen=True)
class Schema:
    """The facts a reader of a feature set needs before it reads a record.

    Args:
        spec: mapping. The feature specification, as its `to_dict` gives it.
        spec_name: str. Its name in `ser_keras.features.specs.SPECS`.
        dim: int. Values per frame.
        corpus: str. Name of the corpus's reader.
        name: str. What results call this data set.
        labels: tuple of str. Labels that occur.
        class_sets: tuple of str. Class sets of the corpus, the default first.

    Example:
        >>> schema = Schema({"kind": "logmel"}, "logmel40", 40, "emodb", "emodb", ("sad",), ())
        >>> Schema.from_json(schema.to_json(), "schema.json") == schema
        True
    """

    spec: Mapping[str, Any]
    spec_name: str
    dim: int
    corpus: str
    name: str
    labels: tuple[str, ...]
    class_sets: tuple[str, ...]

    def to_json(self) -> str:
        """Returns the text of `schema.json`."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: object) -> "Schema":
        """Returns the schema that `to_json` wrote.

        Args:
            text: str. The file's content.
            where: what errors call the file.

        Raises:
            SchemaError: not JSON, or other fields than these.
        """
        expected = sorted(field.name for field in fields(cls))
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SchemaError(
                f"{where}: found no JSON ({error}), expected the schema of a feature set. Make the "
                "features again with `ser features`."
            ) from None
        found = sorted(values) if isinstance(values, dict) else type(values).__name__
        if found != expected:
            raise SchemaError(
                f"{where}: found {found}, expected the fields {', '.join(expected)}. The features "
                "are of another version; make them again with `ser features`."
            )
        lists = {name: tuple(values[name]) for name in ("labels", "class_sets")}
        return cls(**{**values, **lists})


def encode_example(row: "IndexRow", features: np.ndarray) -> bytes:
    """Returns one record; the same input gives the same bytes on every machine.

    Args:
        row: key, label, speaker, session, sentence, corpus, duration and source hash are stored.
        features: float32 (frames, dim).
    """
    example = _example_class()()
    feature = example.features.feature
    values = np.ascontiguousarray(features, dtype="<f4")
    feature["features"].bytes_list.value.append(values.tobytes())
    feature["shape"].int64_list.value.extend(values.shape)
    feature["duration_s"].float_list.value.append(row.duration_s)
    for name in TEXT_KEYS:
        # Names that are not UTF-8 reach Python as surrogates and leave it as the same bytes.
        text = getattr(row, name).encode("utf-8", "surrogateescape")
        feature[name].bytes_list.value.append(text)
    return example.SerializeToString(deterministic=True)


def frame_record(record: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns what a TFRecord file holds for `record`: head, the record itself (uncopied), tail.

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


def decode_example(record: bytes) -> tuple[str, np.ndarray]:
    """Returns (key, features float32 (frames, dim)) of a record, without TensorFlow."""
    feature = _example_class().FromString(record).features.feature
    values = np.frombuffer(feature["features"].bytes_list.value[0], "<f4")
    key = feature["key"].bytes_list.value[0].decode("utf-8", "surrogateescape")
    return key, values.reshape(tuple(feature["shape"].int64_list.value))


def parse_example(serialized: "tf.Tensor") -> dict[str, "tf.Tensor"]:
    """Parses one record inside a TensorFlow graph.

    Args:
        serialized: string scalar.

    Returns:
        "features" float32 (frames, dim), "duration_s" float32 scalar, and the `TEXT_KEYS` as
        string scalars.
    """
    import tensorflow as tf

    kinds = {
        "features": tf.io.FixedLenFeature((), tf.string),
        "shape": tf.io.FixedLenFeature((2,), tf.int64),
        "duration_s": tf.io.FixedLenFeature((), tf.float32),
        **{name: tf.io.FixedLenFeature((), tf.string) for name in TEXT_KEYS},
    }
    parsed = tf.io.parse_single_example(serialized, kinds)
    values = tf.io.decode_raw(parsed["features"], tf.float32, little_endian=True)
    parsed["features"] = tf.reshape(values, parsed.pop("shape"))
    return parsed


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF)


@lru_cache
def _example_class() -> Any:
    """Returns a class whose messages are those of `tf.train.Example`, from a pool of its own."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="ser_keras/example.proto", package="tensorflow", syntax="proto3"
    )
    lists = {"Bytes": kind.TYPE_BYTES, "Float": kind.TYPE_FLOAT, "Int64": kind.TYPE_INT64}
    for name, value_type in lists.items():
        message = file.message_type.add(name=f"{name}List")
        message.field.add(name="value", number=1, type=value_type, label=kind.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(lists, 1):
        field = _message_field(feature, f"{name.lower()}_list", number, f"{name}List")
        field.oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    _message_field(entry, "value", 2, "Feature")
    _message_field(features, "feature", 1, "Features.FeatureEntry").label = kind.LABEL_REPEATED
    _message_field(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def _message_field(message: Any, name: str, number: int, type_name: str) -> Any:
    kind = descriptor_pb2.FieldDescriptorProto
    return message.field.add(
        name=name,
        number=number,
        type=kind.TYPE_MESSAGE,
        label=kind.LABEL_OPTIONAL,
        type_name=f".tensorflow.{type_name}",
    )
