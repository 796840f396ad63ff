"""One record of a feature set: a `tf.train.Example`, encoded and decoded without TensorFlow.

The features are one bytes value of little-endian float32 beside their shape, which serialises sixty
times faster than a list of floats. TensorFlow's import takes 4 s and 400 MB, which no worker of the
feature job should pay. So the message is described here, field for field as in
tensorflow/core/example/{example,feature}.proto; a test compares the bytes with TensorFlow's own.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ser_keras.data.feature_set import IndexRow

TEXT_KEYS = ("key", "label", "speaker", "session", "sentence", "corpus", "source_sha256")


def encode_example(row: IndexRow, features: np.ndarray) -> bytes:
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


def decode_example(record: bytes) -> tuple[str, np.ndarray]:
    """Returns (key, features float32 (frames, dim)) of a record, without TensorFlow."""
    feature = _example_class().FromString(record).features.feature
    values = np.frombuffer(feature["features"].bytes_list.value[0], "<f4")
    key = feature["key"].bytes_list.value[0].decode("utf-8", "surrogateescape")
    return key, values.reshape(tuple(feature["shape"].int64_list.value))


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
