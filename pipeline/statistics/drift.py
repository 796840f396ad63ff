"""Measures drift between two data sets from their statistics: labels, durations and features."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from pipeline.statistics.file import label_shares
from ser_keras.errors import SchemaError

# Largest accepted changes if the schema names no others.
DRIFT_LIMITS: Mapping[str, float] = MappingProxyType(
    {"label_share_change": 0.1, "duration_psi": 0.25, "mean_shift": 0.5}
)

# Bins are joined until each holds this share of the earlier data; a tenth is usual.
PSI_SHARE = 0.1
# Replaces the share of an empty bin, whose logarithm is undefined.
EMPTY_SHARE = 1e-4
SMALLEST_STD = 1e-12


def drift_between(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the drift of new data from earlier data.

    Args:
        new: statistics, see `pipeline.statistics.job`.
        old: statistics of the earlier data.

    Returns:
        `label_share_change`: the largest change of a label's share (L-infinity), and `label`, that
        label; `duration_psi`: see `stability_index`; `mean_shift`: the largest distance between a
        feature's means, in standard deviations of the earlier data, and `feature`, its number.

    Raises:
        SchemaError: the features have different specs, so their means cannot be compared.
    """
    for key in ("spec_name", "dim"):
        if new["data"][key] != old["data"][key]:
            raise SchemaError(
                f"drift: found features with {key} {new['data'][key]!r} and, in the earlier "
                f"data, {old['data'][key]!r}, expected the same. Compare statistics of one --spec."
            )
    shares, before = label_shares(new), label_shares(old)
    changes = {
        label: abs(shares.get(label, 0.0) - before.get(label, 0.0))
        for label in sorted({*shares, *before})
    }
    label = max(changes, key=lambda name: changes[name])
    shifts = _mean_shifts(new["features"], old["features"])
    feature = int(shifts.argmax())
    return {
        "label_share_change": changes[label],
        "label": label,
        "duration_psi": stability_index(new["duration_s"]["counts"], old["duration_s"]["counts"]),
        "mean_shift": float(shifts[feature]),
        "feature": feature,
    }


def stability_index(new: list[int], old: list[int]) -> float:
    """Returns the population stability index, `sum_b (p_b - q_b) ln(p_b / q_b)`.

    Two samples count as alike below 0.1 and as different above 0.25. Bins are joined from the left
    until each holds a tenth of the earlier data, so that a few outliers have little weight.

    Args:
        new: counts of the new data, per bin.
        old: counts of the earlier data in the same bins.

    Example:
        >>> stability_index([10, 20], [1, 2])
        0.0
        >>> round(stability_index([3, 1], [1, 1]), 3)
        0.275
    """
    before, after = np.array(old) / sum(old), np.array(new) / sum(new)
    bin_number, share_in_bin, joined_bins = 0, 0.0, []
    for share in before:
        joined_bins.append(bin_number)
        share_in_bin += share
        if share_in_bin >= PSI_SHARE:
            bin_number, share_in_bin = bin_number + 1, 0.0
    # The rest behind the last full bin belongs to it.
    joined = np.minimum(joined_bins, bin_number - 1)
    q = np.maximum(np.bincount(joined, before), EMPTY_SHARE)
    p = np.maximum(np.bincount(joined, after), EMPTY_SHARE)
    return float(np.sum((p - q) * np.log(p / q)))


def _mean_shifts(new: Mapping[str, Any], old: Mapping[str, Any]) -> np.ndarray:
    distance = np.abs(np.array(new["mean"]) - np.array(old["mean"]))
    # A feature that was constant before has to stay constant.
    return distance / np.maximum(old["std"], SMALLEST_STD)
