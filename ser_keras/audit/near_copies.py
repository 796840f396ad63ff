"""Finds recordings with nearly the same fingerprint, in time that grows with their number.

Comparing all pairs takes quadratic time, and so the search compares only recordings that fall into
one cell of a grid: locality-sensitive hashing (Indyk and Motwani 1998), with the grids of Datar et
al. (2004). There are `_GRIDS` grids, each over another choice of the directions in which the
fingerprints differ most. Of the pairs at the limit whose difference is spread like noise, one grid
finds about half, and fewer than one in a million escape all grids; nearer pairs are safer. Each
candidate is compared as the criterion says, and nothing that fails it is returned.
"""

from collections.abc import Iterator

import numpy as np

from ser_keras.audit.fingerprint import BANDS, NEAR_DB, SEGMENTS, STEPS_PER_DB

ACTIVE_DB = 3.0
EDGE = 2
LAGS = (0.0, -0.25, 0.25, -0.5, 0.5, -0.75, 0.75, -1.0, 1.0)

_CELLS = (SEGMENTS - 2 * EDGE) * BANDS
_NEAR_SQUARES = NEAR_DB**2 * _CELLS
# Two random recordings of RAVDESS differ by 30 dB or more in each of these directions, copies at
# the limit by 2 dB, and so a cell of 18 dB keeps the copies together and few others.
_DIRECTIONS = 14
_GRIDS = 32
_CELL_DB = 18.0
_FITTED_ROWS = 4096
_BLOCK_ROWS = 4096
_BLOCK_PAIRS = 1 << 17


def near_groups(values: np.ndarray) -> np.ndarray:
    """Returns a number for each recording, the same for near copies and for copies of copies.

    Args:
        values: uint8 (n, 32, 4). Fingerprints.

    Returns:
        int (n,). The number is the row of one of the group.
    """
    groups = _Groups(len(values))
    if len(values) < 2:
        return groups.group_of
    search = _Search(values)
    # Neighbours first: they join large groups of copies, whose pairs the second round then skips.
    for neighbours in (True, False):
        for number in range(_GRIDS):
            grid = _Grid(number, search.points[0])
            for first, second, lag in search.candidates(grid, groups.group_of, neighbours):
                near = search.verified(first, second, lag)
                groups.join(first[near], second[near])
    return groups.group_of


def distances_db(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the distance of each fingerprint to its counterpart.

    The root mean square difference over the cells that are not silent, at the best of nine shifts
    of up to one window, which make up for a centre that coding has moved.

    Args:
        first: uint8 (n, 32, 4). They are shifted.
        second: uint8 (n, 32, 4).

    Returns:
        float64 (n,). In dB.
    """
    first, second = (_levels(values) for values in (first, second))
    fixed = _shifted(second, 0.0)
    best = np.full(len(first), np.inf)
    # Levels are quarters of a dB and lags quarters of a window: near distances have no rounding.
    for lag in LAGS:
        difference = _shifted(first, lag) - fixed
        np.minimum(best, np.einsum("ij,ij->i", difference, difference), out=best)
    cells = np.maximum(1, np.maximum(_active(first), _active(second)))
    return np.sqrt(best / cells)


class _Groups:
    """Groups that grow as pairs are joined; `group_of` has a group's number for each row."""

    def __init__(self, count: int) -> None:
        self.group_of = np.arange(count)

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Joins the groups of each pair of rows."""
        pairs = np.unique(self.group_of[np.stack([first, second], axis=1)], axis=0)
        if not len(pairs):
            return
        parent_of: dict[int, int] = {}

        def root(group: int) -> int:
            while group in parent_of:
                group = parent_of[group]
            return group

        for one, other in pairs.tolist():
            low, high = sorted((root(one), root(other)))
            if low != high:
                parent_of[high] = low
        renamed = np.arange(len(self.group_of))
        for group in parent_of:
            renamed[group] = root(group)
        self.group_of = renamed[self.group_of]


class _Grid:
    """One grid: which cells the recordings are in.

    Args:
        number: int. Says which directions and offsets are drawn.
        points: float32 (n, directions).
    """

    def __init__(self, number: int, points: np.ndarray) -> None:
        rng = np.random.default_rng(number)
        count = points.shape[1]
        # A cell holds about a quarter of the recordings along each direction. With these many
        # directions a recording shares its cell with a few others, however many there are.
        chosen = int(np.clip(round(np.log(len(points)) / np.log(4)), 1, count))
        self._directions = rng.choice(count, chosen, replace=False)
        self._offsets = rng.uniform(0, 1, chosen).astype(np.float32)
        self._factors = rng.integers(1, 1 << 62, chosen) | 1
        self.cell_of = self.cells(points)

    def cells(self, points: np.ndarray) -> np.ndarray:
        """Returns the cell of each point, int64 (n,); different cells may share a number."""
        steps = points[:, self._directions] / np.float32(_CELL_DB) + self._offsets
        return np.floor(steps).astype(np.int64) @ self._factors


class _Search:
    """Fingerprints, and where they are along the directions in which they differ most.

    Args:
        values: uint8 (n, 32, 4). Fingerprints.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        some = _shifted(_levels(values[:: -(-len(values) // _FITTED_ROWS)]), 0.0)
        variances, vectors = np.linalg.eigh(np.cov(some.T.astype(np.float64)))
        # A direction along which all are in one cell or two tells nothing apart.
        telling = np.count_nonzero(variances > (_CELL_DB / 3) ** 2)
        count = int(np.clip(telling, 1, _DIRECTIONS))
        self._directions = vectors[:, : -count - 1 : -1].astype(np.float32)
        # By lag, row and direction.
        self.points = np.empty((len(LAGS), len(values), count), np.float32)
        for start in range(0, len(values), _BLOCK_ROWS):
            levels = _levels(values[start : start + _BLOCK_ROWS])
            for number, lag in enumerate(LAGS):
                projected = _shifted(levels, lag) @ self._directions
                self.points[number, start : start + _BLOCK_ROWS] = projected

    def candidates(
        self, grid: _Grid, group_of: np.ndarray, neighbours: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """Yields pairs of rows in one cell and in different groups, the earlier first, and a lag.

        Args:
            grid: where the rows are.
            group_of: int (n,). Their groups.
            neighbours: each row with the next in its cell alone, without a lag.
        """
        order = np.lexsort((group_of, grid.cell_of))
        cells, groups = grid.cell_of[order], group_of[order]
        if neighbours:
            (places,) = np.nonzero((cells[1:] == cells[:-1]) & (groups[1:] != groups[:-1]))
            pairs = np.sort(np.stack([order[places], order[places + 1]]), axis=0)
            yield pairs[0], pairs[1], 0
            return
        # A cell and a group in one number, in the order of both.
        cell_rank = np.cumsum(np.r_[False, cells[1:] != cells[:-1]])
        first_of_rank = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
        bounds = np.r_[first_of_rank, len(order)]
        both = cell_rank * len(order) + groups
        known = cells[first_of_rank]
        for lag in range(len(LAGS)):
            wanted = grid.cells(self.points[lag])
            rank = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            (rows,) = np.nonzero(known[rank] == wanted)
            rank = rank[rows]
            own = rank * len(order) + group_of[rows]
            own_start, own_end = (np.searchsorted(both, own, side) for side in ("left", "right"))
            for start, end in ((bounds[rank], own_start), (own_end, bounds[rank + 1])):
                for row, position in _ranges(rows, start, end):
                    other = order[position]
                    earlier = row < other
                    yield row[earlier], other[earlier], lag

    def verified(self, first: np.ndarray, second: np.ndarray, lag: int) -> np.ndarray:
        """Returns which pairs are near copies, bool (pairs,).

        The directions are orthogonal: the distance along them bounds the whole one at that lag.
        """
        difference = self.points[lag, first] - self.points[0, second]
        squares = np.einsum("ij,ij->i", difference, difference)
        near = squares < _NEAR_SQUARES * 1.001
        (places,) = np.nonzero(near)
        for start in range(0, len(places), _BLOCK_ROWS):
            block = places[start : start + _BLOCK_ROWS]
            pairs = self._values[first[block]], self._values[second[block]]
            near[block] = distances_db(*pairs) < NEAR_DB
        return near


def _ranges(
    rows: np.ndarray, start: np.ndarray, end: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields each row with each of its places from start to end, in blocks."""
    (filled,) = np.nonzero(end > start)
    rows, start, counts = rows[filled], start[filled], (end - start)[filled]
    total = np.cumsum(counts)
    done = 0
    while done < len(rows):
        before = total[done - 1] if done else 0
        until = max(done + 1, int(np.searchsorted(total, before + _BLOCK_PAIRS, "right")))
        part = slice(done, until)
        firsts = np.repeat(start[part] - (total[part] - counts[part] - before), counts[part])
        yield np.repeat(rows[part], counts[part]), firsts + np.arange(len(firsts))
        done = until


def _levels(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) / STEPS_PER_DB


def _shifted(levels: np.ndarray, lag: float) -> np.ndarray:
    steps = int(np.floor(lag))
    share = lag - steps
    first, last = EDGE + steps, SEGMENTS - EDGE + steps
    moved = levels[:, first:last]
    if share:
        moved = (1 - share) * moved + share * levels[:, first + 1 : last + 1]
    return moved.reshape(len(levels), -1)


def _active(levels: np.ndarray) -> np.ndarray:
    return (levels[:, EDGE : SEGMENTS - EDGE] > ACTIVE_DB).sum(axis=(1, 2))
