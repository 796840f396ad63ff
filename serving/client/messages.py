"""The messages of TensorFlow Serving's protocol, without TensorFlow.

The stubs of `tensorflow-serving-api` import all of TensorFlow, seconds and hundreds of megabytes,
for a few messages. These have the same names, fields and numbers, and so the same bytes; a test
compares them. They live in a pool of their own: where TensorFlow is loaded, too, nothing collides.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

# Field: (number, type), with * for repeated ones; a map is written as its value's type after "map".
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "tensorflow.TensorShapeProto": {"dim": (2, "*tensorflow.TensorShapeProto.Dim")},
    "tensorflow.TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "tensorflow.TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "double_val": (6, "*double"),
        "int_val": (7, "*int32"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
    },
    "google.protobuf.Int64Value": {"value": (1, "int64")},
    "google.protobuf.Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "tensorflow.serving.ModelSpec": {
        "name": (1, "string"),
        "version": (2, "google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "tensorflow.serving.PredictRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "inputs": (2, "map tensorflow.TensorProto"),
        "output_filter": (3, "*string"),
    },
    "tensorflow.serving.PredictResponse": {
        "outputs": (1, "map tensorflow.TensorProto"),
        "model_spec": (2, "tensorflow.serving.ModelSpec"),
    },
    "tensorflow.serving.GetModelMetadataRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata_field": (2, "*string"),
    },
    "tensorflow.serving.GetModelMetadataResponse": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata": (2, "map google.protobuf.Any"),
    },
    # What a signature takes and returns is skipped: who asks wants to know which there are.
    "tensorflow.SignatureDef": {"method_name": (3, "string")},
    "tensorflow.serving.SignatureDefMap": {"signature_def": (1, "map tensorflow.SignatureDef")},
    "tensorflow.serving.GetModelStatusRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
    },
    "tensorflow.serving.StatusProto": {
        "error_code": (1, "int32"),
        "error_message": (2, "string"),
    },
    "tensorflow.serving.ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, "tensorflow.serving.StatusProto"),
    },
    "tensorflow.serving.GetModelStatusResponse": {
        "model_version_status": (1, "*tensorflow.serving.ModelVersionStatus"),
    },
}
AVAILABLE = 30
# TensorFlow's numbers of types, and the field that holds the values of each.
_TYPES: Mapping[int, tuple[Any, str]] = MappingProxyType(
    {
        1: (np.dtype(np.float32), "float_val"),
        2: (np.dtype(np.float64), "double_val"),
        3: (np.dtype(np.int32), "int_val"),
        7: (np.dtype(object), "string_val"),
        9: (np.dtype(np.int64), "int64_val"),
        10: (np.dtype(bool), "bool_val"),
    }
)
_NUMBERS = {dtype: number for number, (dtype, _) in _TYPES.items()}


def _file() -> descriptor_pb2.FileDescriptorProto:
    """Returns a file with every message, nested ones as messages of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="ser/serving.proto", syntax="proto3")
    for name, fields in _MESSAGES.items():
        _add_message(file, name, fields)
    return file


def _local(name: str) -> str:
    return name.replace(".", "_")


def _add_message(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: Mapping[str, tuple[int, str]]
) -> None:
    message = file.message_type.add(name=_local(name))
    for field_name, (number, kind) in fields.items():
        field = message.field.add(name=field_name, number=number)
        repeated = kind.startswith(("*", "map "))
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        value = kind.removeprefix("*").removeprefix("map ")
        if kind.startswith("map "):
            # As protocol buffers name the entries of a map.
            entry_name = f"{field_name.title().replace('_', '')}Entry"
            entry = message.nested_type.add(name=entry_name)
            entry.options.map_entry = True
            for part, part_number, part_kind in (("key", 1, "string"), ("value", 2, value)):
                one = entry.field.add(name=part, number=part_number, label=field.LABEL_OPTIONAL)
                _set_type(one, part_kind)
            field.type = field.TYPE_MESSAGE
            field.type_name = f".{message.name}.{entry.name}"
        else:
            _set_type(field, value)


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind in _MESSAGES:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_local(kind)}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    found = (pool.FindMessageTypeByName(_local(name)) for name in _MESSAGES)
    made = map(message_factory.GetMessageClass, found)
    return {name.rpartition(".")[2]: kind for name, kind in zip(_MESSAGES, made, strict=True)}


_BY_NAME = _classes()
TensorProto = _BY_NAME["TensorProto"]
PredictRequest = _BY_NAME["PredictRequest"]
PredictResponse = _BY_NAME["PredictResponse"]
GetModelMetadataRequest = _BY_NAME["GetModelMetadataRequest"]
GetModelMetadataResponse = _BY_NAME["GetModelMetadataResponse"]
SignatureDefMap = _BY_NAME["SignatureDefMap"]
GetModelStatusRequest = _BY_NAME["GetModelStatusRequest"]
GetModelStatusResponse = _BY_NAME["GetModelStatusResponse"]


def tensor_of(values: np.ndarray) -> Any:
    """Returns a TensorProto of an array of float32, float64, int32, int64, bool or bytes.

    Raises:
        TypeError: another type.

    Example:
        >>> array_of(tensor_of(np.arange(4, dtype=np.int32).reshape(2, 2))).tolist()
        [[0, 1], [2, 3]]
    """
    tensor = TensorProto()
    fill_tensor(tensor, values)
    return tensor


def fill_tensor(tensor: Any, values: np.ndarray) -> None:
    """Writes an array into an empty TensorProto, where it stays: recordings are large to copy.

    Raises:
        TypeError: as of `tensor_of`.
    """
    values = np.asarray(values)
    begin_tensor(tensor, values)
    if values.dtype == object:
        tensor.string_val.extend(
            value.encode() if isinstance(value, str) else value for value in values.ravel()
        )
    else:
        tensor.tensor_content = values.tobytes()


def begin_tensor(tensor: Any, values: np.ndarray) -> str:
    """Writes type and shape of an array; returns the name of the field for its values.

    Raises:
        TypeError: as of `tensor_of`.
    """
    number = _NUMBERS.get(values.dtype)
    if number is None:
        known = ", ".join(str(dtype) for dtype in _NUMBERS)
        raise TypeError(f"tensor: found an array of {values.dtype}, expected one of {known}.")
    tensor.dtype = number
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    return _TYPES[number][1]


def array_of(tensor: Any) -> np.ndarray:
    """Returns the array of a TensorProto, whether in `tensor_content` or in typed fields.

    Raises:
        TypeError: a type of tensor that no signature of ours has.
    """
    if tensor.dtype not in _TYPES:
        raise TypeError(f"tensor: found type {tensor.dtype}, expected one of {sorted(_TYPES)}.")
    if (found := content_of(tensor)) is not None:
        return found
    dtype, name = _TYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    values = _field(tensor, name, dtype)
    # A single value stands for a whole tensor of it.
    return np.full(shape, values[0]) if values.size == 1 else values.reshape(shape)


def content_of(tensor: Any) -> np.ndarray | None:
    """Returns the array in `tensor_content`, without a copy; None where there is none.

    Raises:
        ValueError: its bytes and the shape do not agree.
    """
    # To look at the content copies it.
    if tensor.dtype not in _TYPES or not (content := tensor.tensor_content):
        return None
    values = np.frombuffer(content, _TYPES[tensor.dtype][0])
    return values.reshape([dim.size for dim in tensor.tensor_shape.dim])


def _field(tensor: Any, name: str, dtype: Any) -> np.ndarray:
    """Returns a typed field as a flat array; numbers of fixed size without a look at each.

    Looking at each takes 0.1 microseconds, milliseconds for a map of attention. On the wire they
    are what `tobytes` gives, and the last field that a tensor of this type has.
    """
    field = getattr(tensor, name)
    size = len(field) * np.dtype(dtype).itemsize
    if dtype in (np.float32, np.float64) and size:
        data = tensor.SerializeToString()
        number = tensor.DESCRIPTOR.fields_by_name[name].number
        if data[:-size].endswith(bytes([number << 3 | 2]) + varint(size)):
            return np.frombuffer(data, np.dtype(dtype).newbyteorder("<"), offset=len(data) - size)
    return np.array(field, dtype)


def varint(number: int) -> bytes:
    """Returns a length as protocol buffers write it: 7 bits a byte, the lowest first.

    Example:
        >>> varint(300).hex()
        'ac02'
    """
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
