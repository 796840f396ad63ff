"""TensorFlow Serving's JSON: requests as arrays, and arrays as answers."""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.errors import RequestError


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
            raise RequestError.invalid(f"Unknown input {name!r}, expected {names}.")
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
    try:
        if dtype == tf.string:
            return np.array(_decoded(value), dtype=object)
        array = np.array(value)
        if array.dtype.kind not in ("bif" if dtype.is_floating else "i"):
            raise ValueError(f"found values of type {array.dtype}")
        # Values too large for the type become infinite, which the graph refuses.
        with np.errstate(over="ignore"):
            return array.astype(dtype.as_numpy_dtype)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RequestError.invalid(f"input {name}: not a tensor of {dtype.name}: {error}") from None


def _decoded(value: Any) -> Any:
    """Returns texts and `{"b64": ...}` as bytes, in lists of any depth."""
    if isinstance(value, list):
        return [_decoded(entry) for entry in value]
    if isinstance(value, str):
        return value.encode()
    if _is_bytes(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValueError(f"b64: {error}") from None
    raise ValueError("expected texts or {'b64': ...}")


def predictions_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns outputs in the row format; a single output is not named."""
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
    """Returns an output as JSON: bytes in base 64, if its name ends with `_bytes`, else texts."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(entry) for entry in value]
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode("utf-8", "replace")

    if values.dtype == object:
        return text(values.tolist())
    if values.dtype.kind == "f":
        return _finite(values.astype(np.float64).round(9).tolist())
    return values.tolist()


def _finite(value: Any) -> Any:
    """Returns the value with null for infinity and NaN, which JSON lacks."""
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return value if math.isfinite(value) else None
