"""Statistics of a training fold's features, and the scaling that follows from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_keras.errors import ConfigError, SchemaError, unknown_name

PERCENTILES = (0.1, 99.9)

_MOST_FRAMES = 400_000
_MOST_VALUES = 2**25
_FIELDS = ("mean", "std", "low", "high")
_KINDS = ("standard", "unit", "none")


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """What is known of each feature bin over the training fold, and nothing of the other folds.

    Args:
        count: int. Number of frames.
        mean: float64 (dim,). Exact.
        std: float64 (dim,). Exact; of the population (divided by `count`).
        low: float64 (dim,). 0.1st percentile.
        high: float64 (dim,). 99.9th percentile.
    """

    count: int
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, frames: Iterable[np.ndarray]) -> "FeatureStatistics":
        """Fits in one pass over the utterances.

        Mean and deviation are merged utterance by utterance in float64 (Chan, Golub and LeVeque
        1983, Eq. 2.1). Percentiles come from every 2^k-th frame, at most 400,000 frames and 128 MB,
        so that the same utterances in the same order give the same numbers.

        Args:
            frames: arrays (frames, dim), one per utterance.

        Raises:
            SchemaError: there are no frames, or some value is not finite.

        Example:
            >>> statistics = FeatureStatistics.fit([np.array([[0.0, 4.0]]), np.array([[2.0, 4.0]])])
            >>> statistics.mean.tolist(), statistics.std.tolist()
            ([1.0, 4.0], [1.0, 0.0])
        """
        count, mean, squares, sample = 0, np.zeros(()), np.zeros(()), _EverySoMany()
        for number, block in enumerate(frames):
            if not len(block):
                continue
            values = np.asarray(block, np.float64)
            if not np.isfinite(values).all():
                raise SchemaError(
                    f"feature statistics: found values that are not finite in utterance {number} "
                    "of the training fold, expected numbers. Run the feature job again."
                )
            sample.add(block)
            total = count + len(values)
            block_mean = values.mean(axis=0)
            distance = block_mean - mean
            mean = mean + distance * (len(values) / total)
            squares = squares + np.square(values - block_mean).sum(axis=0)
            squares += np.square(distance) * (count * len(values) / total)
            count = total
        if not count:
            raise SchemaError(
                "feature statistics: found no frames, expected those of the training fold. Check "
                "that the fold's keys are in the feature set."
            )
        low, high = np.percentile(sample.rows(), PERCENTILES, axis=0)
        return cls(count, mean, np.sqrt(squares / count), low, high)

    def affine(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the offset and scale of (x - offset) * scale.

        Args:
            kind: `"standard"` gives zero mean and unit deviation, `"unit"` takes low..high to 0..1
                (what lies beyond stays beyond), `"none"` changes nothing. A bin that never changes
                becomes 0 with the first two.

        Returns:
            (offset, scale), float32 (dim,) each.

        Raises:
            ConfigError: no such kind.
        """
        if kind not in _KINDS:
            raise ConfigError(unknown_name("normalisation", kind, _KINDS))
        if kind == "none":
            return np.zeros(self.mean.shape, np.float32), np.ones(self.mean.shape, np.float32)
        offset = self.mean if kind == "standard" else self.low
        spread = self.std if kind == "standard" else self.high - self.low
        changes = spread > 1e-6 * np.abs(offset) + 1e-12
        scale = 1.0 / np.where(changes, spread, 1.0)
        return offset.astype(np.float32), scale.astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers and lists, ready for JSON; `from_dict` is the inverse."""
        return {"count": self.count} | {name: getattr(self, name).tolist() for name in _FIELDS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FeatureStatistics":
        """Returns the statistics that `to_dict` wrote down.

        Raises:
            SchemaError: a field is missing, or the fields are of different lengths.
        """
        try:
            arrays = [np.asarray(values[name], np.float64) for name in _FIELDS]
            count = int(values["count"])
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(
                f"feature statistics: found no usable field {error}, expected count, "
                f"{', '.join(_FIELDS)}. Train again."
            ) from None
        if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
            raise SchemaError(
                f"feature statistics: found fields of shapes {[a.shape for a in arrays]}, expected "
                "one value per bin in each. Train again."
            )
        return cls(count, *arrays)


class _EverySoMany:
    """Keeps every 2^k-th row of a stream, with the smallest k that fits the limits."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._kept = 0
        self._seen = 0
        self._stride = 1

    def add(self, block: np.ndarray) -> None:
        """Takes the next rows, (rows, dim)."""
        first = -self._seen % self._stride
        self._seen += len(block)
        rows = np.array(block[first :: self._stride], np.float32)
        self._blocks.append(rows)
        self._kept += len(rows)
        while self._kept > min(_MOST_FRAMES, max(1, _MOST_VALUES // block.shape[1])):
            self._blocks = [self.rows()[::2].copy()]
            self._kept = len(self._blocks[0])
            self._stride *= 2

    def rows(self) -> np.ndarray:
        """Returns the kept rows, float32 (rows, dim)."""
        return np.concatenate(self._blocks)
