"""How far two sets of data are apart: labels, durations and features, by their statistics alone."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from pipeline.statistics.file import label_shares
from ser_keras.errors import SchemaError

# What a change may be where nobody says otherwise.
DRIFT_LIMITS: Mapping[str, float] = MappingProxyType(
    {"label_share_change": 0.1, "duration_psi": 0.25, "mean_shift": 0.5}
)

# Bins are joined until each holds this share of the earlier data: tenths, as is usual.
PSI_SHARE = 0.1
# What stands for an empty bin, whose logarithm there is not.
EMPTY_SHARE = 1e-4
SMALLEST_STD = 1e-12


def drift_between(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how far new data are from earlier ones.

    Args:
        new: statistics, see `pipeline.statistics.job`.
        old: the same, of the earlier data.

    Returns:
        `label_share_change`: the largest change of a label's share (L-infinity), and `label`, whose
        it is; `duration_psi`: see `stability_index`; `mean_shift`: the largest distance of a
        feature's means, in deviations of the earlier data, and `feature`, its number.

    Raises:
        SchemaError: the features are of different specs, and their means cannot be compared.
    """
    for what in ("spec_name", "dim"):
        if new["data"][what] != old["data"][what]:
            raise SchemaError(
                f"drift: found features with {what} {new['data'][what]!r} and, in the earlier "
                f"data, {old['data'][what]!r}, expected the same. Compare statistics of one --spec."
            )
    shares, before = label_shares(new), label_shares(old)
    changes = {
        label: abs(shares.get(label, 0.0) - before.get(label, 0.0))
        for label in sorted({*shares, *before})
    }
    label = max(changes, key=lambda name: changes[name])
    shifts = _shifts(new["features"], old["features"])
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

    Below 0.1 two samples are taken for alike, above 0.25 for different. Bins are joined from the
    left until each holds a tenth of the earlier data, so that few utterances far out do not count
    for much.

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
    place, held, places = 0, 0.0, []
    for share in before:
        places.append(place)
        held += share
        if held >= PSI_SHARE:
            place, held = place + 1, 0.0
    # What is left behind the last full bin belongs to it.
    joined = np.minimum(places, place - 1)
    q = np.maximum(np.bincount(joined, before), EMPTY_SHARE)
    p = np.maximum(np.bincount(joined, after), EMPTY_SHARE)
    return float(np.sum((p - q) * np.log(p / q)))


def _shifts(new: Mapping[str, Any], old: Mapping[str, Any]) -> np.ndarray:
    distance = np.abs(np.array(new["mean"]) - np.array(old["mean"]))
    # A feature that never changed may not change now, either.
    return distance / np.maximum(old["std"], SMALLEST_STD)
