"""Count, mean and mean of squares of a speaker's values: statistics that merge."""

from collections.abc import Iterable

import numpy as np


def moments(values: np.ndarray) -> np.ndarray:
    """Returns the statistics of rows, float64 (1 + 2 dim,): count, mean and mean of squares.

    Args:
        values: (rows, dim), at least one row.

    Example:
        >>> moments(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
        [2.0, 2.0, 0.0, 5.0, 0.0]
    """
    values = np.asarray(values, np.float64)
    squares = np.square(values).mean(axis=0)
    return np.concatenate([[len(values)], values.mean(axis=0), squares])


def merged(statistics: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the statistics of all rows together, float64 (1 + 2 dim,).

    Args:
        statistics: of disjoint sets of rows, (1 + 2 dim,) each, at least one.

    Example:
        >>> rows = np.array([[1.0], [3.0], [8.0]])
        >>> bool(np.allclose(merged([moments(rows[:2]), moments(rows[2:])]), moments(rows)))
        True
    """
    stacked = np.stack([np.asarray(row, np.float64) for row in statistics])
    counts = stacked[:, :1]
    total = counts.sum()
    if not total:
        return stacked[0]
    return np.concatenate([[total], (counts * stacked[:, 1:]).sum(axis=0) / total])


def unknown(dim: int) -> np.ndarray:
    """Returns the statistics of a speaker of whom nothing is known, zeros (1 + 2 dim,)."""
    return np.zeros(1 + 2 * dim)
