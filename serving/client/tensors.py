"""Arrays as TensorProto messages and back, without TensorFlow.

Everything but `tensor_of` takes any class of TensorProto, TensorFlow's own among them.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from serving.client.message_classes import MAX_ARRAY_BYTES
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
# NumPy's limit; TensorFlow's is 254.
MAX_DIMENSIONS = 32
# What a text takes in memory beside its bytes, in Python and again in TensorFlow.
TEXT_BYTES = 64
# As many sizes of a shape are shown in a message.
_SHOWN_SIZES = 8


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


def array_of(tensor: Any, most_bytes: int = MAX_ARRAY_BYTES) -> np.ndarray:
    """Returns the array of a TensorProto, whether in `tensor_content` or in a typed field.

    As in TensorFlow, the last of too few values in a typed field fills the rest of the tensor, and
    without any values it is all zeros.

    Args:
        tensor: TensorProto. Its shape is checked before memory is taken for it.
        most_bytes: int. Most bytes of the array.

    Raises:
        TypeError: a type that no signature of this project has.
        ValueError: the shape is too large or does not go with the values, or a value does not fit
            the type.
    """
    if tensor.dtype not in _TYPES:
        raise TypeError(f"tensor: found type {tensor.dtype}, expected one of {sorted(_TYPES)}.")
    dtype, field = _TYPES[tensor.dtype]
    if field == "string_val":
        return _texts(tensor, most_bytes)
    shape = checked_shape(sizes_of(tensor), dtype.itemsize, most_bytes)
    # Reading the field copies it, so it is read once.
    if content := tensor.tensor_content:
        return np.frombuffer(content, dtype).reshape(shape)
    size = math.prod(shape)
    check_number_of_values(tensor, field, size)
    values = _typed_values(tensor, field, dtype)
    if size != values.size:
        last = values[-1] if values.size else dtype.type(0)
        values = np.concatenate([values, np.full(size - values.size, last, dtype)])
    return values.reshape(shape)


def arrays_of(tensors: Mapping[str, Any], most_bytes: int = MAX_ARRAY_BYTES) -> dict[str, Any]:
    """Returns the arrays of several TensorProto by name, which share the limit of bytes.

    Raises:
        TypeError, ValueError: as of `array_of`, with the name.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        try:
            arrays[name] = array_of(tensor, most_bytes)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
        most_bytes -= size_of(arrays[name])
    return arrays


def size_of(values: np.ndarray) -> int:
    """Returns the bytes that an array takes, or its texts.

    Example:
        >>> size_of(np.zeros(3, np.float32)), size_of(np.array([b"RIFF"], object))
        (12, 68)
    """
    if values.dtype != object:
        return values.nbytes
    return sum(map(len, values.ravel())) + TEXT_BYTES * values.size


def is_common(tensor: Any) -> bool:
    """Tells whether `array_of` reads tensors of this type."""
    return tensor.dtype in _TYPES


def sizes_of(tensor: Any) -> list[int]:
    """Returns the sizes in the shape that a TensorProto declares, unchecked."""
    return [dim.size for dim in tensor.tensor_shape.dim]


def checked_shape(sizes: Sequence[int], item_bytes: int, most_bytes: int) -> Sequence[int]:
    """Returns the shape of a tensor, before memory is taken for it.

    Args:
        sizes: of the dimensions.
        item_bytes: int. Bytes of one element.
        most_bytes: int. Most bytes of the tensor.

    Raises:
        ValueError: a size is unknown, there are too many of them, or the tensor is too large, in
            TensorFlow's words.

    Example:
        >>> checked_shape([1, 3 * 10**9], item_bytes=4, most_bytes=2**25)
        Traceback (most recent call last):
        ValueError: Shape [1,3000000000] is too large (more than 8388608 entries)
    """
    shown = ",".join(map(str, sizes[:_SHOWN_SIZES]))
    shape = f"Shape [{shown}{',...' if len(sizes) > _SHOWN_SIZES else ''}]"
    if len(sizes) > MAX_DIMENSIONS:
        raise ValueError(f"{shape} has too many dimensions")
    if any(size < 0 for size in sizes):
        raise ValueError(f"{shape} is not fully defined")
    if item_bytes * math.prod(sizes) > most_bytes:
        raise ValueError(f"{shape} is too large (more than {most_bytes // item_bytes} entries)")
    return sizes


def check_number_of_values(tensor: Any, field: str, elements: int) -> None:
    """Refuses more values in a typed field than the tensor has elements.

    Raises:
        ValueError: says how many there are.
    """
    count = len(getattr(tensor, field))
    if count > elements:
        raise ValueError(f"{field} has {count} values, the shape has {elements} elements")


def _texts(tensor: Any, most_bytes: int) -> np.ndarray:
    """Returns a tensor of texts, as bytes."""
    shape = checked_shape(sizes_of(tensor), TEXT_BYTES, most_bytes)
    size = math.prod(shape)
    check_number_of_values(tensor, "string_val", size)
    values = list(tensor.string_val)
    last = values[-1] if values else b""
    # TensorFlow copies the text that is repeated.
    repeated = size - len(values)
    total = sum(map(len, values)) + len(last) * repeated + TEXT_BYTES * size
    if total > most_bytes:
        raise ValueError(f"texts of {total} bytes are too large (more than {most_bytes})")
    texts = np.empty(size, object)
    texts[: len(values)], texts[len(values) :] = values, last
    return texts.reshape(shape)


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
    if field in _FLOAT_FIELDS:
        return np.fromiter(values, dtype, len(values))
    return in_range(np.fromiter(values, np.int64, len(values)), field, np.dtype(dtype))


def in_range(values: np.ndarray, field: str, dtype: np.dtype) -> np.ndarray:
    """Returns whole numbers as an array of another type.

    Raises:
        ValueError: the type does not hold one of them.
    """
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    wrong = values[(values < least) | (values > most)]
    if wrong.size:
        raise ValueError(f"{field} holds {wrong[0]}, which is no {dtype.name}")
    return values.astype(dtype)


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
