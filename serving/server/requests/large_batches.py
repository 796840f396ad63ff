"""A large batch is run in parts, so that the memory that a graph takes has a limit.

A graph makes megabytes of features out of each row, however short it is, and pads all rows to the
longest: 800 kB of rows with one sample each took more than 12 GB at once.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from serving.client.tensors import size_of
from serving.server.errors import RequestError

Arrays = Mapping[str, np.ndarray]
MAX_ROWS = 4096
# Rows of half a second or less hardly run faster in larger parts.
PART_ROWS = 64
# Two minutes of speech, the longest waveform, are 7.3 MiB.
PART_BYTES = 8 * 2**20
# A text counts as what it may be decoded to: samples of 16 bits become floats.
DECODED_BYTES = 2


def run_in_parts(inputs: Arrays, run: Callable[[Arrays], Arrays]) -> Arrays:
    """Runs a batch, in parts if it is large, and returns its outputs.

    Where outputs are as long as the longest row of their part, such as maps of attention, the
    shorter ones are padded with zeros. A container pads them with what the graph finds there.

    Args:
        inputs: mapping of name to array (rows, ...).
        run: returns the outputs of a part, all (rows, ...).

    Raises:
        RequestError: there are too many rows, or as of `run`.
    """
    rows = {len(np.atleast_1d(values)) for values in inputs.values()}
    count = max(rows, default=0)
    if count > MAX_ROWS:
        raise RequestError.invalid(
            f"Task size {count} is larger than maximum input batch size {MAX_ROWS}"
        )
    parts = parts_of(inputs, count)
    if len(parts) <= 1:
        return run(inputs)
    if len(rows) > 1:
        raise RequestError.invalid(
            "Batching session Run() input tensors must have equal 0th-dimension size"
        )
    answers = [run({name: values[part] for name, values in inputs.items()}) for part in parts]
    return {name: _joined([answer[name] for answer in answers]) for name in answers[0]}


def parts_of(inputs: Arrays, count: int) -> list[slice]:
    """Returns the rows of each part.

    Args:
        inputs: mapping of name to array (count, ...).
        count: int. Number of rows.

    Example:
        >>> wav = np.array([b"x" * 2**20, b"", b"", b""], object)
        >>> parts_of({"wav": wav}, 4)
        [slice(0, 3, None), slice(3, 4, None)]
    """
    parts, start, longest = [], 0, 0
    texts = [np.atleast_1d(values) for values in inputs.values() if values.dtype == object]
    fixed = sum(
        values.nbytes // max(1, count) for values in inputs.values() if values.dtype != object
    )
    for row in range(count):
        text = sum(size_of(values[row : row + 1]) for values in texts)
        longest = max(longest, DECODED_BYTES * text)
        rows = row - start + 1
        if rows > 1 and (rows > PART_ROWS or rows * (fixed + longest) > PART_BYTES):
            parts.append(slice(start, row))
            start, longest = row, DECODED_BYTES * text
    return [*parts, slice(start, count)] if count else []


def decoded_size(inputs: Arrays) -> int:
    """Returns the bytes of inputs as a graph has them, texts decoded and padded to the longest.

    Example:
        >>> decoded_size({"wav": np.array([b"x" * 1000, b""], object), "length": np.zeros(2)})
        4272
    """
    sizes = 0
    for values in inputs.values():
        if values.dtype == object:
            longest = max((size_of(text) for text in values.reshape(-1, 1)), default=0)
            sizes += DECODED_BYTES * longest * values.size
        else:
            sizes += values.nbytes
    return sizes


def _joined(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the rows of all parts, each padded to the largest shape."""
    shapes = [values.shape[1:] for values in outputs]
    largest = np.max(shapes, axis=0, initial=0)
    missing = [[(0, 0), *zip([0] * len(largest), largest - shape, strict=True)] for shape in shapes]
    padded = [np.pad(*pair) for pair in zip(outputs, missing, strict=True)]
    return np.concatenate(padded)
