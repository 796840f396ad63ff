"""TensorFlow Serving's JSON: requests as arrays, and arrays as answers."""

import base64
import json
import math
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.errors import RequestError
from serving.server.metrics import printable

# Longer values are cut in messages.
SHOWN_LETTERS = 60
# The largest power of ten that is a float64 without rounding.
MAX_EXACT_POWER = 22
_POWERS_OF_TEN = np.array([float(10**power) for power in range(MAX_EXACT_POWER + 1)])
_KINDS = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
_KINDS |= {int: "Number", float: "Number"}


def inputs_of(body: Mapping[str, Any], signature: Any) -> tuple[dict[str, np.ndarray], bool]:
    """Returns (arrays by input name, whether the body has the row format).

    Args:
        body: with `instances`, a list with one entry per row, or `inputs`, the columns.
        signature: SignatureDef. Has names and types of the inputs.

    Raises:
        RequestError: neither or both are given, or the values do not make arrays of those types.
    """
    if ("instances" in body) == ("inputs" in body):
        raise RequestError.invalid("Expected one of 'instances' and 'inputs' in the JSON object.")
    by_row = "instances" in body
    values = body["instances" if by_row else "inputs"]
    if by_row:
        values = _columns(values)
    if not isinstance(values, dict) or _is_bytes(values):
        if len(signature.inputs) != 1:
            names = ", ".join(sorted(signature.inputs))
            raise RequestError.invalid(f"Expected an object with the inputs {names}.")
        values = {next(iter(signature.inputs)): values}
    arrays = {}
    for name, value in values.items():
        if name not in signature.inputs:
            names = ", ".join(sorted(signature.inputs))
            shown = printable(repr(name), SHOWN_LETTERS)
            raise RequestError.invalid(f"Unknown input {shown}, expected {names}.")
        arrays[name] = _array(name, value, tf.dtypes.as_dtype(signature.inputs[name].dtype))
    return arrays, by_row


def _columns(rows: Any) -> Any:
    """Returns the values of rows by input name; rows without names as they are."""
    if not isinstance(rows, list) or not rows:
        raise RequestError.invalid("'instances' must be a list with one entry or more.")
    if not all(isinstance(row, dict) and not _is_bytes(row) for row in rows):
        return rows
    names = set(rows[0])
    if any(set(row) != names for row in rows):
        raise RequestError.invalid("Every instance must have the same inputs.")
    return {name: [row[name] for row in rows] for name in names}


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    """Returns a JSON value as an array.

    Raises:
        RequestError: the lists in it differ in length, or an entry does not fit the type.
    """
    try:
        shape, entries = _flat(value)
        convert = _texts if dtype == tf.string else _numbers
        return convert(entries, dtype).reshape(shape)
    except ValueError as error:
        raise RequestError.invalid(f"input {name}: not a tensor of {dtype.name}: {error}") from None


def _flat(value: Any) -> tuple[list[int], list[Any]]:
    """Returns (shape, entries one after the other) of nested lists."""
    shape: list[int] = []
    entries = [value]
    while entries and isinstance(entries[0], list):
        size = len(entries[0])
        for entry in entries:
            if not isinstance(entry, list) or len(entry) != size:
                raise ValueError(f"expected lists of {size} at depth {len(shape)}")
        shape.append(size)
        entries = entries[0] if len(entries) == 1 else list(chain.from_iterable(entries))
    return shape, entries


def _numbers(entries: list[Any], dtype: tf.DType) -> np.ndarray:
    """Returns entries as an array of numbers or truth values, each of which keeps its value."""
    allowed = {bool} if dtype.is_bool else {int, float} if dtype.is_floating else {int}
    types = set(map(type, entries))
    if not types <= allowed:
        wrong = next(entry for entry in entries if type(entry) not in allowed)
        raise ValueError(_unexpected(wrong, dtype))
    if dtype.is_floating:
        return _floats(entries, dtype, has_integers=int in types)
    if types == {int}:
        for bound in (min(entries), max(entries)):
            if not dtype.min <= bound <= dtype.max:
                raise ValueError(_unexpected(bound, dtype))
    return np.array(entries, dtype.as_numpy_dtype)


def _floats(entries: list[Any], dtype: tf.DType, *, has_integers: bool) -> np.ndarray:
    """Returns numbers as floats; infinity and NaN are left to the graph, which refuses them."""
    info = np.finfo(dtype.as_numpy_dtype)
    integers = [entry for entry in entries if type(entry) is int] if has_integers else [0]
    largest_integer = 2 ** (info.nmant + 1) - 1
    for number in (min(integers), max(integers)):
        if abs(number) > largest_integer:
            raise ValueError(_lossy(number, dtype))
    numbers = np.array(entries, np.float64)
    too_large = np.isfinite(numbers) & (np.abs(numbers) > float(info.max))
    if too_large.any():
        raise ValueError(_lossy(entries[int(too_large.argmax())], dtype))
    return numbers.astype(dtype.as_numpy_dtype)


def _texts(entries: list[Any], dtype: tf.DType) -> np.ndarray:
    """Returns texts and `{"b64": ...}` as bytes."""
    array = np.empty(len(entries), object)
    for number, entry in enumerate(entries):
        if isinstance(entry, str):
            array[number] = entry.encode()
        elif _is_bytes(entry) and isinstance(entry["b64"], str):
            array[number] = _from_base64(entry["b64"])
        else:
            raise ValueError(_unexpected(entry, dtype))
    return array


def _from_base64(text: str) -> bytes:
    """Returns the bytes of a text in base 64, which may have spaces and no padding."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        compact = "".join(text.split())
        padding = "=" * (-len(compact) % 4)
    try:
        return base64.b64decode(compact + padding, validate=True)
    except ValueError as error:
        raise ValueError(f"Unable to base64 decode: {error}") from None


def _unexpected(value: Any, dtype: tf.DType) -> str:
    """Returns TensorFlow Serving's words for an entry of another type."""
    kind = "True" if value is True else "False" if value is False else _KINDS.get(type(value))
    expected = "float" if dtype == tf.float32 else dtype.name
    return f"JSON Value: {_shown(value)} Type: {kind} is not of expected type: {expected}"


def _lossy(number: float, dtype: tf.DType) -> str:
    expected = "float" if dtype == tf.float32 else dtype.name
    return f"Cannot convert JSON value: {_shown(number)} to {expected} without loss of precision."


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "{...}" if isinstance(value, dict) else "[...]"
    text = json.dumps(value[:SHOWN_LETTERS] if isinstance(value, str) else value)
    return printable(text, SHOWN_LETTERS)


def output_arrays(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns outputs as arrays; TensorFlow gives a single text as bytes."""
    return {
        name: np.array(values, object) if isinstance(values, bytes) else np.asarray(values)
        for name, values in outputs.items()
    }


def predictions_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns outputs in the row format; a single output is not named.

    Raises:
        RequestError: an output has no rows, or another number of them than the others.
    """
    rows_before = None
    for name, values in outputs.items():
        if values.ndim == 0:
            raise RequestError.invalid(f"Tensor name: {name} has no shape information")
        if rows_before not in (None, len(values)):
            raise RequestError.invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(values)} expecting: "
                f"{rows_before}"
            )
        rows_before = len(values)
    columns = {name: _json_values(name, values) for name, values in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def columns_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns outputs in the column format; a single output is not named."""
    columns = {name: _json_values(name, values) for name, values in outputs.items()}
    return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}


def _json_values(name: str, values: np.ndarray) -> Any:
    """Returns an output as JSON: bytes in base 64, if its name ends with `_bytes`, else texts.

    Floats have the digits that TensorFlow Serving writes. Infinity and NaN are null, since JSON
    lacks them.
    """
    if values.dtype == object:
        write = _base64 if name.endswith("_bytes") else _text
        return _mapped(write, values)
    if values.dtype.kind == "f":
        numbers = _shortest(values) if values.dtype == np.float32 else values.astype(np.float64)
        return numbers.tolist() if np.isfinite(numbers).all() else _mapped(_finite, numbers)
    return values.tolist()


def _shortest(values: np.ndarray) -> np.ndarray:
    """Returns floats with 6 digits, or with the 9 that tell each from all others."""
    exact = values.astype(np.float64)
    short = _rounded(exact, 6)
    with np.errstate(over="ignore"):
        return np.where(short.astype(np.float32) == values, short, _rounded(exact, 9))


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Returns numbers rounded to so many digits, as Python would read them from a text."""
    magnitudes = np.where((values == 0) | ~np.isfinite(values), 1.0, np.abs(values))
    decimals = digits - 1 - np.floor(np.log10(magnitudes)).astype(int)
    scales = _POWERS_OF_TEN[decimals.clip(0, MAX_EXACT_POWER)]
    rounded = np.asarray((values * scales).round() / scales)
    beyond = (decimals < 0) | (decimals > MAX_EXACT_POWER)
    rounded[beyond] = [float(f"{value:.{digits}g}") for value in values[beyond].tolist()]
    return rounded


def _mapped(write: Callable[[Any], Any], values: np.ndarray) -> Any:
    """Returns nested lists of what a function makes of each entry."""
    array = np.empty(values.size, object)
    for number, entry in enumerate(values.ravel().tolist()):
        array[number] = write(entry)
    return array.reshape(values.shape).tolist()


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
