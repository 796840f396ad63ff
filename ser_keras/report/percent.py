"""Shares from 0 to 1 as percentages with one decimal, and what stands for their uncertainty."""

from collections.abc import Mapping, Sequence
from typing import Any

from ser_keras.metrics import NO_INTERVAL, RANGE_OF_TWO, interval_kind


def percent(share: float | None, missing: str = "–") -> str:
    """Returns a share in percent, or `missing` where there is none.

    Example:
        >>> percent(0.4567), percent(None)
        ('45.7', '–')
    """
    return missing if share is None else f"{100 * share:.1f}"


def points(difference: float) -> str:
    """Returns a difference of two shares in points, with its sign.

    Example:
        >>> points(0.05), points(-1e-9)
        ('+5.0', '+0.0')
    """
    # Adding zero turns -0.0 into 0.0.
    return f"{round(100 * difference, 1) + 0:+.1f}"


def interval(
    ends: Sequence[float], speakers: int | None = None, *, signed: bool = False, to: str = "–"
) -> str:
    """Returns the ends of an interval over speakers, or a dash where one speaker was tested.

    Args:
        ends: low and high.
        speakers: int. How many were tested; see `metrics.interval_kind`.
        signed: bool. Whether it is an interval of a difference.
        to: str. What stands between the ends.

    Example:
        >>> interval((0.4, 0.625), 10), interval((0.4, 0.625), 2), interval((0.0, 1.0), 1)
        ('40.0 – 62.5', '40.0 – 62.5, range of two', '–')
    """
    kind = interval_kind(ends, speakers)
    if kind == NO_INTERVAL:
        return "–"
    text = f" {to} ".join(map(points if signed else percent, ends))
    return f"{text}, {RANGE_OF_TWO}" if kind == RANGE_OF_TWO else text


def interval_in_words(ends: Sequence[float], speakers: int | None = None) -> str:
    """Returns the same for a sentence.

    Example:
        >>> interval_in_words((0.4, 0.625), 2), interval_in_words((0.0, 1.0), 1)
        ('range of two speakers 40.0 to 62.5', 'one speaker, so no interval')
    """
    kind = interval_kind(ends, speakers)
    if kind == NO_INTERVAL:
        return "one speaker, so no interval"
    words = f"{kind} speakers" if kind == RANGE_OF_TWO else kind
    return f"{words} {' to '.join(map(percent, ends))}"


def ua_with_interval(scores: Mapping[str, Any], speakers: int | None = None) -> str:
    """Returns a UA with its interval in brackets.

    Args:
        scores: mapping with "ua" and "ua_interval", the ends of the interval.
        speakers: int. How many were tested, where the scores do not have "speakers" themselves.

    Example:
        >>> ua_with_interval({"ua": 0.5, "ua_interval": (0.4, 0.625)})
        '50.0 (40.0 – 62.5)'
    """
    ends = interval(scores["ua_interval"], scores.get("speakers", speakers))
    return f"{percent(scores['ua'])} ({ends})"


def points_with_interval(difference: Sequence[float], speakers: int | None = None) -> str:
    """Returns a difference in points with its interval in brackets.

    Args:
        difference: difference, low, high.
        speakers: int. How many were tested.

    Example:
        >>> points_with_interval((0.05, -0.01, 0.11), 9), points_with_interval((0.0, -1.0, 1.0), 1)
        ('+5.0 (-1.0 – +11.0)', '+0.0 (–)')
    """
    value, *ends = difference
    return f"{points(value)} ({interval(ends, speakers, signed=True)})"
