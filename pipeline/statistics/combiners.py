"""Summaries that can be added, and the Beam combiner that adds them.

Every summary is a value: `of` makes it from one utterance, `+` adds two. Their grouping changes no
count, and a mean only by rounding. Even the rounding is the same in every file: `OrderedSumFn` adds
numbered summaries along a tree that depends only on their numbers, whatever order and grouping a
runner chooses, so that every runner writes the same bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol, Self, TypeVar

import apache_beam as beam
import numpy as np


class Summary(Protocol):
    """A value that can be added to another of its kind, associatively except for rounding."""

    def __add__(self, other: Self) -> Self: ...


S = TypeVar("S", bound=Summary)
# Sums by the (level, index) of their node in the tree.
NodeSums = dict[tuple[int, int], Any]


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and squared deviations of the finite values of each dimension.

    Args:
        count: int64 (dim,). Number of finite values.
        mean: float64 (dim,). Their mean, 0 if there are none.
        squares: float64 (dim,). Sum of their squared distances from that mean.
        not_finite: int. Values that are NaN or infinite, of all dimensions.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    not_finite: int

    @classmethod
    def of(cls, block: np.ndarray) -> "Moments":
        """Returns the moments of a block.

        Args:
            block: float (n, dim).

        Example:
            >>> Moments.of(np.array([[1.0, np.nan], [3.0, 4.0]])).mean.tolist()
            [2.0, 4.0]
        """
        values = np.asarray(block, np.float64)
        finite = np.isfinite(values)
        count = finite.sum(axis=0)
        mean = np.where(finite, values, 0.0).sum(axis=0) / np.maximum(count, 1)
        squares = np.square(np.where(finite, values - mean, 0.0)).sum(axis=0)
        return cls(count, mean, squares, int(finite.size - count.sum()))

    def __add__(self, other: "Moments") -> "Moments":
        """Returns the moments of both (Chan, Golub and LeVeque 1983, Eq. 2.1)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        distance = other.mean - self.mean
        return Moments(
            count,
            self.mean + distance * share,
            self.squares + other.squares + np.square(distance) * self.count * share,
            self.not_finite + other.not_finite,
        )

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the population, float64 (dim,); 0 if there is no value."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))


@dataclass(frozen=True, eq=False)
class Distribution:
    """Distribution of one quantity over utterances.

    Args:
        edges: float64 (bins + 1,). The first bin also holds values below it, the last those above.
        counts: int64 (bins,).
        moments: those of the quantity, dim 1.
        lowest: (value, key of the utterance), None if no value is finite.
        highest: the same for the largest value.
    """

    edges: np.ndarray
    counts: np.ndarray
    moments: Moments
    lowest: tuple[float, str] | None
    highest: tuple[float, str] | None

    @classmethod
    def of(cls, value: float, key: str, edges: np.ndarray) -> "Distribution":
        """Returns the distribution of one utterance's value."""
        counts = np.zeros(len(edges) - 1, np.int64)
        extreme = None
        if np.isfinite(value):
            index = int(np.searchsorted(edges, value, side="right")) - 1
            counts[min(max(index, 0), len(counts) - 1)] = 1
            extreme = (float(value), key)
        return cls(edges, counts, Moments.of(np.array([[value]])), extreme, extreme)

    def __add__(self, other: "Distribution") -> "Distribution":
        """Returns the distribution of both; the first key wins among equal extremes."""
        lows = [extreme for extreme in (self.lowest, other.lowest) if extreme]
        highs = [extreme for extreme in (self.highest, other.highest) if extreme]
        return Distribution(
            self.edges,
            self.counts + other.counts,
            self.moments + other.moments,
            min(lows, default=None),
            min(highs, key=lambda extreme: (-extreme[0], extreme[1]), default=None),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, ready for JSON, rounded."""
        return {
            "count": int(self.moments.count[0]),
            "not_finite": self.moments.not_finite,
            "mean": rounded(self.moments.mean[0]),
            "std": rounded(self.moments.std[0]),
            "lowest": _extreme(self.lowest),
            "highest": _extreme(self.highest),
            "edges": [rounded(edge) for edge in self.edges],
            "counts": self.counts.tolist(),
        }


def rounded(value: float) -> float:
    """Returns the value with ten digits; further digits depend on the processor.

    Example:
        >>> rounded(0.1 + 0.2)
        0.3
    """
    return float(f"{value:.10g}")


def total(summaries: Iterable[S]) -> S:
    """Returns the sum of at least one summary, from the first to the last."""
    return reduce(add, summaries)


class OrderedSumFn(beam.CombineFn):
    """Adds (number, summary) pairs to the same bits, whatever order they arrive in.

    The accumulator holds the roots of a binary tree over the numbers: (level, index) stands for the
    numbers `index * 2**level` to `(index + 1) * 2**level - 1`. Two halves are added, left before
    right, as soon as both are there. So the additions depend only on the numbers, and numbers that
    arrive in sequence leave at most as many roots as their count has binary digits.

    There must be at least one number, and none may occur twice.
    """

    def create_accumulator(self) -> NodeSums:
        """Returns no roots."""
        return {}

    def add_input(self, accumulator: NodeSums, element: tuple[int, Summary]) -> NodeSums:
        """Returns the roots with a further leaf."""
        number, summary = element
        return _merge_roots(accumulator, {(0, number): summary})

    def merge_accumulators(self, accumulators: Iterable[NodeSums]) -> NodeSums:
        """Returns the roots of all accumulators."""
        return reduce(_merge_roots, accumulators, self.create_accumulator())

    def extract_output(self, accumulator: NodeSums) -> Any:
        """Returns the sum of the roots in the order of their first numbers."""
        by_start = sorted(accumulator, key=lambda node: node[1] << node[0])
        return total(accumulator[node] for node in by_start)


def _merge_roots(roots: NodeSums, further: Mapping[tuple[int, int], Any]) -> NodeSums:
    """Returns the roots of both, after adding all siblings."""
    merged = dict(roots)
    for (level, index), summary in further.items():
        while (level, index ^ 1) in merged:
            sibling = merged.pop((level, index ^ 1))
            summary = sibling + summary if index & 1 else summary + sibling
            level, index = level + 1, index >> 1
        merged[level, index] = summary
    return merged


def _extreme(extreme: tuple[float, str] | None) -> dict[str, Any] | None:
    return {"value": rounded(extreme[0]), "key": extreme[1]} if extreme else None
