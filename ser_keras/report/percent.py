"""Shares from 0 to 1 as percentages with one decimal."""

from collections.abc import Mapping
from typing import Any


def percent(share: float | None, missing: str = "–") -> str:
    """Returns a share in percent, or `missing` where there is none.

    Example:
        >>> percent(0.4567), percent(None)
        ('45.7', '–')
    """
    return missing if share is None else f"{100 * share:.1f}"


def ua_with_interval(scores: Mapping[str, Any]) -> str:
    """Returns a UA with its interval in brackets.

    Args:
        scores: mapping with "ua" and "ua_interval", the ends of the interval.

    Example:
        >>> ua_with_interval({"ua": 0.5, "ua_interval": (0.4, 0.625)})
        '50.0 (40.0 – 62.5)'
    """
    low, high = map(percent, scores["ua_interval"])
    return f"{percent(scores['ua'])} ({low} – {high})"
