"""The inputs of a request as arrays, read so that no request takes more memory than it declares.

A shape of a few bytes can declare gigabytes, and a single value fills them. So the shape is checked
before anything is allocated, against the limit of a whole request and against the values sent.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.client.message_classes import message_classes
from serving.client.messages import MESSAGES
from serving.client.tensors import (
    array_of,
    check_number_of_values,
    checked_shape,
    in_range,
    is_common,
    size_of,
    sizes_of,
)
from serving.server.errors import RequestError
from serving.server.requests.text import shown

# Fields for types that no export of this project takes, but another model may. A number in
# `int_val` keeps its 64 bits, where a parser of int32 would silently drop the upper half.
_TENSOR = {
    **MESSAGES["tensorflow.TensorProto"],
    "int_val": (7, "*int64"),
    "scomplex_val": (9, "*float"),
    "dcomplex_val": (12, "*double"),
    "half_val": (13, "*int64"),
    "uint32_val": (16, "*uint64"),
    "uint64_val": (17, "*uint64"),
}
PredictRequest = message_classes(
    "ser/request.proto", {**MESSAGES, "tensorflow.TensorProto": _TENSOR}
)["tensorflow.serving.PredictRequest"]
_FIELDS = {
    **dict.fromkeys((tf.uint8, tf.int8, tf.uint16, tf.int16), "int_val"),
    **dict.fromkeys((tf.half, tf.bfloat16), "half_val"),
    tf.uint32: "uint32_val",
}
_FAULTS = (TypeError, ValueError, KeyError, OverflowError, AttributeError)


def input_arrays(tensors: Mapping[str, Any], most_bytes: int) -> dict[str, np.ndarray]:
    """Returns the arrays of a request's inputs by name.

    Args:
        tensors: mapping of name to TensorProto.
        most_bytes: int. Most bytes of all arrays together.

    Raises:
        RequestError: one is no valid tensor, or they are too large.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        try:
            arrays[name] = _array(tensor, most_bytes)
        except _FAULTS as error:
            raise RequestError.invalid(f"tensor parsing error: {shown(name)}: {error}") from None
        most_bytes -= size_of(arrays[name])
    return arrays


def _array(tensor: Any, most_bytes: int) -> np.ndarray:
    """Returns the array of a tensor of any type.

    Raises:
        TypeError, ValueError, KeyError: it is no valid tensor.
    """
    if is_common(tensor):
        # `make_ndarray` copies the array once more, and is slow for single numbers.
        return array_of(tensor, most_bytes)
    dtype = tf.dtypes.as_dtype(tensor.dtype)
    if not dtype.is_numpy_compatible:
        raise TypeError(f"a tensor of {dtype.name} cannot be sent")
    elements = math.prod(checked_shape(sizes_of(tensor), dtype.size, most_bytes))
    field = _FIELDS.get(dtype)
    if field is not None and not tensor.tensor_content:
        check_number_of_values(tensor, field, elements)
        # The field of a number of 16 bits holds its bits.
        number = np.dtype(np.uint16 if field == "half_val" else dtype.as_numpy_dtype)
        in_range(np.fromiter(getattr(tensor, field), np.int64), field, number)
    return tf.make_ndarray(tensor)
