"""What an explanation says in numbers: of its maps, of words and phones, and all of it as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.annotations import Tier, cropped, read_tiers
from ser_keras.errors import ConfigError
from ser_keras.models.map_statistics import (
    describe_maps,
    divergence_from_time,
    mean_description,
    named_maps,
    rounded,
)
from ser_keras.plots.explanation import Explanation


def map_numbers(pieces: Mapping[str, np.ndarray], columns: int) -> dict[str, Any]:
    """Returns entropy, total variation and correlations of a recording's maps.

    Args:
        pieces: maps by their names in the export, (segments, ..., columns) each.
        columns: int. How many of the columns are not padding.

    Returns:
        see `describe_maps`, the mean over the segments; empty where attention is not of frames.
    """
    if pieces["attention"].ndim != 2:
        return {}
    names = [name for name in pieces if name.startswith("attention")]
    return mean_description(
        [
            describe_maps({name: pieces[name][number, ..., :columns] for name in names})
            for number in range(len(pieces["attention"]))
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


def with_tiers(heard: Explanation, tiers: Sequence[Tier]) -> Explanation:
    """Returns the explanation with what of the tiers lies in its waveform.

    Its statistics also say, for every map of frames and every tier, how far the weight of the words
    or phones is from what their durations would give them ("divergence", see
    `divergence_from_time`): MOMA's "well distributed over the phone boundaries" (Jalal et al. 2020,
    Sec. 5.1) is a small one.

    Raises:
        ConfigError: the tiers are of another stretch of time.
    """
    for tier in tiers:
        if not tier.intervals:
            continue
        first, last = tier.intervals[0].start_s, max(one.end_s for one in tier.intervals)
        if first >= heard.end_s or last <= heard.start_s:
            raise ConfigError(
                f"--tiers: tier {tier.name!r} reaches from {first:g} to {last:g} s, expected some "
                f"of it between {heard.start_s:g} and {heard.end_s:g} s of {heard.source}. Give "
                "the tiers of this recording, or another --start or --seconds."
            )
    shown = cropped(tiers, heard.start_s, heard.end_s)
    statistics = dict(heard.statistics)
    if statistics:
        named = named_maps(heard.maps)
        statistics["maps"] = {
            name: numbers | {"divergence": _divergences(named[name], heard, shown)}
            for name, numbers in statistics["maps"].items()
        }
    return replace(heard, tiers=tuple(shown), statistics=statistics)


def to_dict(heard: Explanation) -> dict[str, Any]:
    """Returns answer, numbers and tiers of an explanation, ready for JSON."""
    return {
        "recording": heard.source,
        "start_s": round(heard.start_s, 6),
        "end_s": round(heard.end_s, 6),
        "model": heard.model,
        "system": heard.system,
        "probabilities": {name: round(share, 6) for name, share in heard.probabilities.items()},
        "statistics": dict(heard.statistics),
        "tiers": {
            tier.name: [
                {"start_s": one.start_s, "end_s": one.end_s, "text": one.text}
                for one in tier.labelled
            ]
            for tier in heard.tiers
        },
    }


def _divergences(
    weights: np.ndarray, heard: Explanation, tiers: Sequence[Tier]
) -> dict[str, float | None]:
    spans = {
        tier.name: np.array([(one.start_s, one.end_s) for one in tier.labelled]).reshape(-1, 2)
        for tier in tiers
    }
    return {
        name: rounded(divergence_from_time(weights, heard.frame_edges_s, span))
        for name, span in spans.items()
    }
