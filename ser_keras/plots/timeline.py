"""The emotions of a recording over time, as a picture to click on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.plots.picture import open_figure, save_figure

# At 100 pixels per inch letters are as large as a page's; screens have finer dots.
PIXELS_PER_INCH = 100
DOTS_PER_INCH = 2 * PIXELS_PER_INCH

_TICKS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800)


def emotion_timeline(
    classes: Sequence[str],
    edges_s: np.ndarray,
    probabilities: np.ndarray,
    path: Path,
    *,
    width_px: int = 760,
    marked: int | None = None,
    uncertain: np.ndarray | None = None,
) -> tuple[float, float]:
    """Draws the probability of every emotion over time; returns the position of the time axis.

    Args:
        classes: the K emotions.
        edges_s: array (N + 1,). Start of each of the N windows and end of the last, in seconds.
        probabilities: array (N, K).
        path: Path. `.png` or `.svg`.
        width_px: int. Width at which the picture is shown; letters keep their size on a phone.
        marked: int. Number of the window with a frame around it; none when left out.
        uncertain: bool (N,). Windows without an answer, shown in a row of their own; no such row
            when left out.

    Returns:
        (left, right) end of the time axis as shares of the width, which give a click its time.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    names = [*classes, *([] if uncertain is None else ["uncertain"])]
    figure = open_figure(path, (width_px / PIXELS_PER_INCH, 1.1 + 0.26 * len(names)), DOTS_PER_INCH)
    axes = figure.subplots()
    rows = np.arange(len(classes) + 1) - 0.5
    mesh = axes.pcolormesh(edges_s, rows, 100 * probabilities.T, cmap="cividis", vmin=0, vmax=100)
    if uncertain is not None:
        # Not a probability, hence grey on white, with a gap.
        doubts = [rows[-1] + 0.15, rows[-1] + 1]
        axes.pcolormesh(edges_s, doubts, uncertain[None], cmap="Greys", vmin=0, vmax=1.4)
    axes.set(yticks=range(len(names)), ylim=(len(names) - 0.5, rows[0]))
    # Dollars in a name set no formula.
    axes.set_yticklabels(names, parse_math=False)
    if marked is not None:
        _frame(axes, edges_s[marked], edges_s[marked + 1])
    step = next((step for step in _TICKS_S if edges_s[-1] / step <= width_px / 80), _TICKS_S[-1])
    ticks = np.arange(0, edges_s[-1] + 1e-9, step)
    minutes = edges_s[-1] > 120
    times = [f"{tick // 60:.0f}:{tick % 60:02.0f}" if minutes else f"{tick:g}" for tick in ticks]
    axes.set_xticks(ticks, times)
    axes.set_xlabel("time (min:s)" if minutes else "time (s)")
    bar = figure.colorbar(mesh, ax=axes, label="probability (%)", location="top", aspect=40)
    bar.outline.set_visible(False)
    save_figure(figure, path)
    position = axes.get_position()
    return position.x0, position.x1


def _frame(axes: Any, left: float, right: float) -> None:
    """Draws a frame around all rows between two times."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    bottom, top = axes.get_ylim()
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, clip_on=False, zorder=3)
    # White between two black lines is visible on every colour of the scale.
    frame.set(edgecolor="white", linewidth=2.5, joinstyle="miter")
    frame.set_path_effects([withStroke(linewidth=5, foreground="black", joinstyle="miter")])
    axes.add_patch(frame)
