"""Numbers of attention maps: what MOMA's Sec. 5.1 says of its figures, as quantities.

Jalal et al. 2020 look at two utterances and say that the attention of layer 2 is smoothed and
"well distributed over the phone boundaries" compared with layer 1, and that the blocks of layer 2
are "loosely correlated". Here smooth is a small total variation, well distributed a high entropy,
and correlated Pearson's coefficient over the frames. All are scaled so that utterances of different
length compare.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ser_keras.errors import SchemaError


def normalized_entropy(weights: np.ndarray) -> np.ndarray:
    """Returns how evenly weights are distributed: their entropy over the logarithm of their number.

    Args:
        weights: (..., frames). Of any sum; scaled to sum to 1 here.

    Returns:
        float64 (...), 1 where all frames weigh alike and 0 where one frame has all of the weight;
        nan for a single frame, and where a weight is negative, as a negative gamma makes it.

    Example:
        >>> normalized_entropy(np.array([[1.0, 1, 1, 1], [0, 0, 5, 0], [1, 1, 0, 0]])).tolist()
        [1.0, 0.0, 0.5]
    """
    weights = _frames_last(weights)
    frames = weights.shape[-1]
    total = weights.sum(axis=-1, keepdims=True)
    usable = (weights >= 0).all(axis=-1) & (total[..., 0] > 0)
    if frames < 2:
        return np.full(weights.shape[:-1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = weights / total
        bits = np.where(shares > 0, -shares * np.log(shares), 0.0)
    # Without a minus zero.
    return np.where(usable, bits.sum(axis=-1) / np.log(frames) + 0.0, np.nan)


def total_variation(weights: np.ndarray) -> np.ndarray:
    """Returns how much weights change from frame to frame, with their mean scaled to 1.

    The sum of the absolute steps over the number of steps, hence the mean step: an utterance of
    twice the length that changes as fast has the same value.

    Args:
        weights: (..., frames). Of any sum that is not 0.

    Returns:
        float64 (...), 0 where all frames weigh alike; nan for a single frame or a sum of 0.

    Example:
        >>> total_variation(np.array([[1.0, 1, 1], [0, 3, 0], [2, 1, 0]])).tolist()
        [0.0, 3.0, 1.0]
    """
    weights = _frames_last(weights)
    mean = np.abs(weights.mean(axis=-1))
    if weights.shape[-1] < 2:
        return np.full(weights.shape[:-1], np.nan)
    steps = np.abs(np.diff(weights, axis=-1)).mean(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean > 0, steps / mean, np.nan)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Pearson's coefficient of two maps over their frames, nan where a map is constant.

    Args:
        first: (frames,).
        second: (frames,).

    Example:
        >>> correlation(np.array([1.0, 2, 3]), np.array([6.0, 4, 2]))
        -1.0
    """
    x, y = (_frames_last(map_) - np.mean(map_, dtype=np.float64) for map_ in (first, second))
    norm = np.sqrt((x @ x) * (y @ y))
    # Rounding leaves a constant map a little off its mean.
    least = 1e-10 * (np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip(x @ y / norm, -1.0, 1.0)) if norm > least else float("nan")


def divergence_from_time(
    weights: np.ndarray, frame_edges_s: np.ndarray, spans_s: np.ndarray
) -> float:
    """Returns how far the weight of words or phones is from what their durations would give them.

    The Kullback-Leibler divergence, in nats, of each span's share of the weight from its share of
    the time.

    Args:
        weights: (frames,). Of any sum, none negative; nan where nothing is known.
        frame_edges_s: (frames + 1,). Frame t lies between edges t and t + 1.
        spans_s: (spans, 2). Start and end of each word or phone.

    Returns:
        float, 0 where every span has the weight of its duration; nan where no span has any weight,
        or a weight is negative.

    Example:
        >>> edges, spans = np.array([0.0, 1, 2]), np.array([[0.0, 1], [1, 2]])
        >>> divergence_from_time(np.array([1.0, 1]), edges, spans)
        0.0
        >>> round(divergence_from_time(np.array([1.0, 0]), edges, spans), 4)
        0.6931
    """
    starts, ends = (spans_s[:, number, None] for number in (0, 1))
    overlap = np.minimum(ends, frame_edges_s[1:]) - np.maximum(starts, frame_edges_s[:-1])
    weights = _frames_last(weights)
    known = ~np.isnan(weights)
    overlap = np.maximum(overlap, 0.0)[:, known]
    weight = overlap @ weights[known]
    time = overlap.sum(axis=1)
    weight, time = weight[time > 0], time[time > 0]
    if (weights < 0).any() or not weight.sum() > 0:
        return float("nan")
    weight, time = weight / weight.sum(), time / time.sum()
    terms = np.where(weight > 0, weight * np.log(np.maximum(weight, 1e-300) / time), 0.0)
    return float(terms.sum()) + 0.0


def named_maps(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the weights of frames among a model's maps, by the names that the paper gives them.

    Args:
        maps: "attention" (..., frames); for MOMA also "attention_layer1" (..., frames) and
            "attention_blocks" (blocks, frames). Others are left out.

    Example:
        >>> maps = {"attention": np.ones(3), "attention_layer1": np.ones(3)}
        >>> list(named_maps(maps | {"attention_blocks": np.ones((2, 3))}))
        ['layer 1', 'block 1', 'block 2', 'mixture']
    """
    if "attention_layer1" not in maps:
        return {"attention": maps["attention"]}
    blocks = enumerate(maps["attention_blocks"], 1)
    return {
        "layer 1": maps["attention_layer1"],
        **{f"block {number}": block for number, block in blocks},
        "mixture": maps["attention"],
    }


def describe_maps(maps: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns entropy and total variation of every map of one utterance, and their correlations.

    Args:
        maps: see `named_maps`, without padding.

    Returns:
        dict ready for JSON, with None for what is not defined: "maps", for "layer 1", "block 1" ...
        and "mixture" (for other models "attention") their "entropy" and "total_variation"; for MOMA
        "correlations", of each pair of blocks, "blocks, absolute" (the mean of their absolute
        values, since opposite views are not loosely correlated) and "layer 1, mixture".
    """
    named = named_maps(maps)
    result: dict[str, Any] = {
        "maps": {
            name: {
                "entropy": rounded(float(normalized_entropy(weights))),
                "total_variation": rounded(float(total_variation(weights))),
            }
            for name, weights in named.items()
        }
    }
    if "layer 1" in named:
        blocks = [name for name in named if name.startswith("block")]
        pairs = {
            f"{first}, {second}": correlation(named[first], named[second])
            for first, second in combinations(blocks, 2)
        }
        known = [abs(value) for value in pairs.values() if not np.isnan(value)]
        pairs["blocks, absolute"] = float(np.mean(known)) if known else float("nan")
        pairs["layer 1, mixture"] = correlation(named["layer 1"], named["mixture"])
        result["correlations"] = {name: rounded(value) for name, value in pairs.items()}
    return result


def mean_description(descriptions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the means of what `describe_maps` says of the segments of an utterance.

    Example:
        >>> mean_description([{"maps": {"a": 1.0, "b": None}}, {"maps": {"a": 2.0, "b": 4.0}}])
        {'maps': {'a': 1.5, 'b': 4.0}}
    """
    result: dict[str, Any] = {}
    for name, first in descriptions[0].items():
        values = [description[name] for description in descriptions]
        if isinstance(first, Mapping):
            result[name] = mean_description(values)
        else:
            known = [value for value in values if value is not None]
            result[name] = rounded(float(np.mean(known))) if known else None
    return result


def rounded(value: float) -> float | None:
    """Returns the value to six digits, None for nan, which JSON does not have."""
    return None if np.isnan(value) else round(float(value), 6)


def _frames_last(weights: np.ndarray) -> np.ndarray:
    weights = np.asarray(weights, np.float64)
    if not weights.ndim or not weights.shape[-1]:
        raise SchemaError(
            f"map statistics: found weights of shape {weights.shape}, expected (..., frames) with "
            "at least one frame."
        )
    return weights
