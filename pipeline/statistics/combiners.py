"""What statistics are made of: summaries that add up, and the Beam combiner that adds them.

Every summary is a value: `of` makes it from what one utterance shows, `+` joins two. How they are
grouped changes no count at all, and a mean only by rounding. Not even that shows in a file:
`InOrderFn` joins numbered parts along a tree that their numbers fix, whatever order and grouping a
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
    """Anything that joins with another of its kind, associatively but for rounding."""

    def __add__(self, other: Self) -> Self: ...


S = TypeVar("S", bound=Summary)
Nodes = dict[tuple[int, int], Any]


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and squared deviations of each dimension, of the finite values alone.

    Args:
        count: int64 (dim,). Finite values.
        mean: float64 (dim,). Their mean, 0 where there are none.
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
        """Deviation of the population, float64 (dim,); 0 where there is no value."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))


@dataclass(frozen=True, eq=False)
class Distribution:
    """How one number is spread over utterances.

    Args:
        edges: float64 (bins + 1,). The first bin holds also what is below, the last what is above.
        counts: int64 (bins,).
        moments: of the number itself, dim 1.
        lowest: (value, key of the utterance), None where no value is finite.
        highest: the same.
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
            place = int(np.searchsorted(edges, value, side="right")) - 1
            counts[min(max(place, 0), len(counts) - 1)] = 1
            extreme = (float(value), key)
        return cls(edges, counts, Moments.of(np.array([[value]])), extreme, extreme)

    def __add__(self, other: "Distribution") -> "Distribution":
        """Returns the distribution of both; of equal extremes the first key is kept."""
        lows = [each for each in (self.lowest, other.lowest) if each]
        highs = [each for each in (self.highest, other.highest) if each]
        return Distribution(
            self.edges,
            self.counts + other.counts,
            self.moments + other.moments,
            min(lows, default=None),
            min(highs, key=lambda each: (-each[0], each[1]), default=None),
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
    """Returns the value with ten digits: more depend on a processor's order of additions.

    Example:
        >>> rounded(0.1 + 0.2)
        0.3
    """
    return float(f"{value:.10g}")


def total(summaries: Iterable[S]) -> S:
    """Returns the sum of at least one summary, from the first to the last."""
    return reduce(add, summaries)


class InOrderFn(beam.CombineFn):
    """Joins (number, summary) pairs to the same bits, whatever order they arrive in.

    The accumulator holds roots of a binary tree over the numbers: (level, place) stands for the
    numbers `place * 2**level` to `(place + 1) * 2**level - 1`. Two halves are joined, left before
    right, as soon as both are there; so which additions are made is a matter of the numbers alone,
    and numbers that arrive in sequence leave no more roots than their count has binary digits.

    No number may occur twice, and there must be one.
    """

    def create_accumulator(self) -> Nodes:
        """Returns no roots."""
        return {}

    def add_input(self, accumulator: Nodes, element: tuple[int, Summary]) -> Nodes:
        """Returns the roots with a further leaf."""
        number, summary = element
        return _grown(accumulator, {(0, number): summary})

    def merge_accumulators(self, accumulators: Iterable[Nodes]) -> Nodes:
        """Returns the roots of all."""
        return reduce(_grown, accumulators, self.create_accumulator())

    def extract_output(self, accumulator: Nodes) -> Any:
        """Returns the sum of the roots, by their first number."""
        by_start = sorted(accumulator, key=lambda node: node[1] << node[0])
        return total(accumulator[node] for node in by_start)


def _grown(roots: Nodes, further: Mapping[tuple[int, int], Any]) -> Nodes:
    grown = dict(roots)
    for (level, place), summary in further.items():
        while (level, place ^ 1) in grown:
            sibling = grown.pop((level, place ^ 1))
            summary = sibling + summary if place & 1 else summary + sibling
            level, place = level + 1, place >> 1
        grown[level, place] = summary
    return grown


def _extreme(found: tuple[float, str] | None) -> dict[str, Any] | None:
    return {"value": rounded(found[0]), "key": found[1]} if found else None
