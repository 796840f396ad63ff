"""The numbers of an explanation: statistics of its maps by words and phones, ready for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.annotations import Tier, cropped, read_tiers
from ser_keras.errors import ConfigError
from ser_keras.models.attention.map_statistics import (
    describe_maps,
    divergence_from_time,
    mean_description,
    named_maps,
    rounded,
)
from ser_keras.plots.explanation import Explanation


def map_numbers(segment_maps: Mapping[str, np.ndarray], columns: int) -> dict[str, Any]:
    """Returns entropy, total variation and correlations of a recording's maps.

    Args:
        segment_maps: maps by their names in the export, (segments, ..., columns) each.
        columns: int. Number of columns that are not padding.

    Returns:
        see `describe_maps`, the mean over the segments; empty where attention is not of frames.
    """
    if segment_maps["attention"].ndim != 2:
        return {}
    names = [name for name in segment_maps if name.startswith("attention")]
    return mean_description(
        [
            describe_maps({name: segment_maps[name][number, ..., :columns] for name in names})
            for number in range(len(segment_maps["attention"]))
        ]
    )


def tiers_of(paths: Sequence[Path], recording: str) -> tuple[list[Tier], list[str]]:
    """Returns the tiers of several files, and a sentence for every tier that is left out.

    Raises:
        ConfigError: see `read_tiers`; a file has nothing but point tiers.
    """
    tiers, sentences = [], []
    for path in paths:
        intervals, points = read_tiers(path, recording)
        if not intervals:
            raise ConfigError(
                f"--tiers {path}: found {len(points)} point tiers and no interval tier, expected "
                "one interval tier at least, such as words or phones."
            )
        tiers += intervals
        sentences += [f"{path}: left out tier {name!r}, which marks points" for name in points]
    return tiers, sentences


def with_tiers(explanation: Explanation, tiers: Sequence[Tier]) -> Explanation:
    """Returns the explanation with the part of the tiers that lies in its waveform.

    For every map of frames and every tier, its statistics also have the "divergence": the distance
    between the weights of the words or phones and their durations (see `divergence_from_time`).
    MOMA's "well distributed over the phone boundaries" (Jalal et al. 2020,
    Sec. 5.1) is a small one.

    Raises:
        ConfigError: the tiers are of another stretch of time.
    """
    for tier in tiers:
        if not tier.intervals:
            continue
        first, last = tier.intervals[0].start_s, max(interval.end_s for interval in tier.intervals)
        if first >= explanation.end_s or last <= explanation.start_s:
            part = f"{explanation.start_s:g} and {explanation.end_s:g} s of {explanation.source}"
            raise ConfigError(
                f"--tiers: tier {tier.name!r} reaches from {first:g} to {last:g} s, expected some "
                f"of it between {part}. Give the tiers of this recording, or another --start or "
                "--seconds."
            )
    shown = cropped(tiers, explanation.start_s, explanation.end_s)
    statistics = dict(explanation.statistics)
    if statistics:
        named = named_maps(explanation.maps)
        statistics["maps"] = {
            name: numbers | {"divergence": _divergences(named[name], explanation, shown)}
            for name, numbers in statistics["maps"].items()
        }
    return replace(explanation, tiers=tuple(shown), statistics=statistics)


def to_dict(explanation: Explanation) -> dict[str, Any]:
    """Returns the prediction, the numbers and the tiers of an explanation, ready for JSON."""
    return {
        "recording": explanation.source,
        "start_s": round(explanation.start_s, 6),
        "end_s": round(explanation.end_s, 6),
        "model": explanation.model,
        "system": explanation.system,
        "probabilities": {
            name: round(share, 6) for name, share in explanation.probabilities.items()
        },
        "statistics": dict(explanation.statistics),
        "tiers": {
            tier.name: [
                {"start_s": interval.start_s, "end_s": interval.end_s, "text": interval.text}
                for interval in tier.labelled
            ]
            for tier in explanation.tiers
        },
    }


def _divergences(
    weights: np.ndarray, explanation: Explanation, tiers: Sequence[Tier]
) -> dict[str, float | None]:
    divergences = {}
    for tier in tiers:
        spans = [(interval.start_s, interval.end_s) for interval in tier.labelled]
        divergence = divergence_from_time(
            weights, explanation.frame_edges_s, np.array(spans).reshape(-1, 2)
        )
        divergences[tier.name] = rounded(divergence)
    return divergences
