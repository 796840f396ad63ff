"""Arrays as TensorProto messages and back, without TensorFlow.

Everything but `tensor_of` takes any class of TensorProto, TensorFlow's own among them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from serving.client.messages import TensorProto

# TensorFlow's number of a type: (type of the array, field that holds the values).
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
# On the wire the values of these fields are the bytes of the array.
_FLOAT_FIELDS = ("float_val", "double_val")


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
    """Writes an array into an empty TensorProto: bytes into `tensor_content`, texts as texts.

    It is filled in place, because recordings are too large to copy.

    Raises:
        TypeError: as of `tensor_of`.
    """
    values = np.asarray(values)
    _set_type_and_shape(tensor, values)
    if values.dtype == object:
        tensor.string_val.extend(
            value.encode() if isinstance(value, str) else value for value in values.ravel()
        )
    else:
        tensor.tensor_content = values.tobytes()


def fill_typed_tensor(tensor: Any, values: np.ndarray) -> None:
    """Writes an array into the typed field of an empty TensorProto, as TensorFlow Serving does.

    Raises:
        TypeError: as of `tensor_of`.
    """
    field = _set_type_and_shape(tensor, values)
    if field in _FLOAT_FIELDS:
        # A list of Python's numbers takes a hundred times as long, and maps have millions.
        data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data
        tensor.MergeFromString(b"".join((_packed_header(tensor, field, data.nbytes), data)))
    else:
        getattr(tensor, field).extend(values.ravel().tolist())


def array_of(tensor: Any) -> np.ndarray:
    """Returns the array of a TensorProto, whether in `tensor_content` or in a typed field.

    Raises:
        TypeError: a type that no signature of this project has.
    """
    if tensor.dtype not in _TYPES:
        raise TypeError(f"tensor: found type {tensor.dtype}, expected one of {sorted(_TYPES)}.")
    if (content := content_of(tensor)) is not None:
        return content
    dtype, field = _TYPES[tensor.dtype]
    values = _typed_values(tensor, field, dtype)
    shape = _shape(tensor)
    # A single value stands for a whole tensor of it.
    return np.full(shape, values[0], dtype) if values.size == 1 else values.reshape(shape)


def content_of(tensor: Any) -> np.ndarray | None:
    """Returns the array in `tensor_content`, without a copy; None where there is none.

    Raises:
        ValueError: its bytes and the shape do not agree.
    """
    # Reading the field copies it, so it is read once.
    if tensor.dtype not in _TYPES or not (content := tensor.tensor_content):
        return None
    return np.frombuffer(content, _TYPES[tensor.dtype][0]).reshape(_shape(tensor))


def _set_type_and_shape(tensor: Any, values: np.ndarray) -> str:
    """Writes type and shape of an array; returns the name of the field for its values."""
    number = _NUMBERS.get(values.dtype)
    if number is None:
        known = ", ".join(str(dtype) for dtype in _NUMBERS)
        raise TypeError(f"tensor: found an array of {values.dtype}, expected one of {known}.")
    tensor.dtype = number
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    return _TYPES[number][1]


def _shape(tensor: Any) -> list[int]:
    return [dim.size for dim in tensor.tensor_shape.dim]


def _typed_values(tensor: Any, field: str, dtype: Any) -> np.ndarray:
    """Returns a typed field as a flat array.

    Converting each value takes 0.1 microseconds, milliseconds for a map of attention. Floats are
    therefore cut out of the serialised message, where this field usually comes last.
    """
    values = getattr(tensor, field)
    size = len(values) * np.dtype(dtype).itemsize
    if field in _FLOAT_FIELDS and size:
        data = tensor.SerializeToString()
        if data[:-size].endswith(_packed_header(tensor, field, size)):
            return np.frombuffer(data, np.dtype(dtype).newbyteorder("<"), offset=len(data) - size)
    return np.array(values, dtype)


def _packed_header(tensor: Any, field: str, size: int) -> bytes:
    """Returns what precedes the `size` bytes of a packed field: its tag and their number."""
    number = tensor.DESCRIPTOR.fields_by_name[field].number
    return bytes([number << 3 | 2]) + _varint(size)


def _varint(number: int) -> bytes:
    """Returns a length as protocol buffers write it: 7 bits a byte, the lowest first.

    Example:
        >>> _varint(300).hex()
        'ac02'
    """
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
