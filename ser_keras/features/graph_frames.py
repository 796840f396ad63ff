"""What the twins of all kinds of features share inside a graph."""

from typing import Any

from keras import ops


def first(count: Any, size: Any) -> Any:
    """Returns bool (batch, size), True for the first `count` of each row."""
    return ops.arange(size)[None] < ops.cast(count, "int32")[:, None]


def squared_spectrum(windowed: Any, fft_points: int) -> Any:
    """Returns |X|^2 of windowed frames, (..., fft_points // 2 + 1)."""
    real, imaginary = ops.rfft(windowed, fft_length=fft_points)
    return ops.square(real) + ops.square(imaginary)
