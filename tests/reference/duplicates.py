"""Near copies by comparing every recording with every later one, in quadratic time."""

import numpy as np

LAGS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
LIMIT_DB = 2.0


def near_groups(values):
    """Returns the sets of rows that are near copies, or copies of copies, as sorted tuples.

    Args:
        values: uint8 (n, 32, 4). Levels in quarters of a dB.
    """
    levels = values.astype(np.float64) / 4
    group_of = {row: {row} for row in range(len(levels))}
    for row in range(len(levels)):
        distances = distances_db(levels[row], levels[row + 1 :])
        for other in (row + 1 + np.flatnonzero(distances < LIMIT_DB)).tolist():
            if group_of[row] is not group_of[other]:
                joined = group_of[row] | group_of[other]
                group_of.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(group)) for group in group_of.values() if len(group) > 1})


def distances_db(level, others):
    """Returns the distances of one recording, which is shifted, to others, float64 (n,)."""
    fixed = others[:, 2:30]
    squares = np.min(
        [np.square(_shifted(level, lag) - fixed).sum(axis=(1, 2)) for lag in LAGS], axis=0
    )
    cells = np.maximum((level[2:30] > 3).sum(), (fixed > 3).sum(axis=(1, 2)))
    return np.sqrt(squares / np.maximum(1, cells))


def _shifted(level, lag):
    """Returns segments 2 to 29 of a recording that begins `lag` segments earlier."""
    places = np.arange(2, 30) + lag
    bands = [np.interp(places, np.arange(32), level[:, band]) for band in range(4)]
    return np.stack(bands, axis=1)


def movement_db(values):
    """Returns by how much the levels of a recording, uint8 (32, 4), move within its sound."""
    levels = values / 4
    active = levels > 3
    segments = np.flatnonzero(active.any(axis=1))
    if not len(segments):
        return 0.0
    inner = levels[segments[0] + 2 : segments[-1] + 1 - 2, active.any(axis=0)]
    return np.sqrt(np.var(inner, axis=0).mean()) if inner.size else 0.0
