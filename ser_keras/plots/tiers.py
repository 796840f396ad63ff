"""Words and phones below the maps of a recording, on the same time axis."""

from collections.abc import Sequence
from typing import Any

from ser_keras.annotations import Tier

FONT_POINTS = 8.0
# Of DejaVu Sans, on average: width of a letter and height of a line, in sizes of the font.
LETTER_WIDTH, LINE_HEIGHT = 0.62, 1.2
PANEL_INCHES = 0.34
# More lines would hide the map.
MOST_BOUNDARIES = 200


def draw_tier(axes: Any, tier: Tier, start_s: float, end_s: float, width_inches: float) -> int:
    """Draws the intervals of a tier with their labels; returns the number of omitted labels.

    A label that is too wide for its interval is turned; one that is still too wide is left out.

    Args:
        axes: matplotlib axes, as high as `PANEL_INCHES`.
        tier: its intervals between the two times.
        start_s: float. Left end of the axis.
        end_s: float. Right end of the axis.
        width_inches: float. Width of the axes.
    """
    inches_per_s = width_inches / (end_s - start_s)
    font_inches = FONT_POINTS / 72
    letter_inches, line_inches = font_inches * LETTER_WIDTH, font_inches * LINE_HEIGHT
    omitted = 0
    for interval in tier.intervals:
        style = {"facecolor": "0.93" if interval.text else "white", "edgecolor": "0.4"}
        axes.axvspan(interval.start_s, interval.end_s, linewidth=0.6, **style)
        room = (interval.end_s - interval.start_s) * inches_per_s
        needed = len(interval.text) * letter_inches
        turned = needed > room
        if turned and (room < line_inches or needed > PANEL_INCHES):
            omitted += 1
            continue
        axes.text(
            (interval.start_s + interval.end_s) / 2,
            0.5,
            interval.text,
            ha="center",
            va="center",
            rotation=90 if turned else 0,
            fontsize=FONT_POINTS,
            clip_on=True,
            parse_math=False,
        )
    axes.set(ylim=(0, 1), yticks=[])
    axes.set_ylabel(
        tier.name, rotation=0, ha="right", va="center", fontsize="small", parse_math=False
    )
    return omitted


def draw_boundaries(axes: Any, tiers: Sequence[Tier]) -> None:
    """Draws thin lines at the boundaries of the finest tier with at most `MOST_BOUNDARIES`."""
    edges = [
        sorted({time for interval in tier.intervals for time in (interval.start_s, interval.end_s)})
        for tier in tiers
    ]
    fitting = [times for times in edges if len(times) <= MOST_BOUNDARIES]
    for time in max(fitting, key=len, default=[]):
        axes.axvline(time, color="0.55", linewidth=0.5, linestyle=(0, (1, 2)))
