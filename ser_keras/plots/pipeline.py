"""Pictures of the pipeline: the statistics of its data, and the graph of its steps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.plots.picture import open_figure, save_figure


def data_statistics(
    statistics: Mapping[str, Any], path: Path, earlier: Mapping[str, Any] | None = None
) -> None:
    """Draws the distributions of labels, speakers, durations, silence, clipping and features.

    Args:
        statistics: see `pipeline.statistics.job`.
        path: Path. `.svg` or `.png`.
        earlier: statistics of other data, drawn over them in black.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (12, 6.5))
    (labels, speakers, durations), (silence, clipping, features) = figure.subplots(2, 3)
    _draw_shares(labels, statistics, earlier, "label")
    _draw_shares(speakers, statistics, earlier, "speaker")
    _draw_histogram(durations, statistics, earlier, "duration_s", 1)
    durations.set(xscale="log", xlabel="duration (s)")
    seconds = (0.1, 0.3, 1, 3, 10, 30, 100, 300)
    durations.set_xticks(seconds, [f"{second:g}" for second in seconds])
    _draw_histogram(silence, statistics, earlier, "silence_ratio", 100)
    silence.set(xlabel="blocks 40 dB below the loudest (%)")
    _draw_histogram(clipping, statistics, earlier, "clipping_ratio", 100)
    clipping.set(xlabel="samples at full scale (%)")
    clipping.set_xscale("symlog", linthresh=0.01)
    mean, std = (np.array(statistics["features"][name]) for name in ("mean", "std"))
    numbers = np.arange(len(mean))
    features.fill_between(numbers, mean - std, mean + std, color="0.8", label="deviation")
    features.plot(numbers, mean, color="0.4", label="mean")
    if earlier is not None:
        features.plot(numbers, earlier["features"]["mean"], "k--", label="mean, earlier data")
    features.set(xlabel="feature (number)", ylabel=f"value of {statistics['data']['spec_name']}")
    features.legend(fontsize="x-small")
    title = f"{statistics['data']['name']}: {statistics['utterances']} utterances"
    if earlier is not None:
        title += f"; black: {earlier['data']['name']}, {earlier['utterances']} utterances"
    figure.suptitle(title)
    save_figure(figure, path)


def _draw_shares(
    axes: Any, statistics: Mapping[str, Any], earlier: Mapping[str, Any] | None, column: str
) -> None:
    """Draws the share of utterances of each value of a column, most frequent first."""
    counts = statistics["counts"][column]
    before = earlier["counts"][column] if earlier is not None else {}
    names = sorted({*counts, *before}, key=lambda name: (-counts.get(name, 0), name))
    positions = range(len(names))
    total = statistics["utterances"]
    axes.bar(positions, [100 * counts.get(name, 0) / total for name in names], color="0.7")
    if earlier is not None:
        shares = [100 * before.get(name, 0) / earlier["utterances"] for name in names]
        axes.plot(positions, shares, "k_", markersize=10)
    step = 1 + len(names) // 25
    axes.set_xticks(positions[::step], names[::step], rotation=60, ha="right", fontsize="x-small")
    axes.set(xlabel=column, ylabel="utterances (%)")


def _draw_histogram(
    axes: Any,
    statistics: Mapping[str, Any],
    earlier: Mapping[str, Any] | None,
    name: str,
    scale: float,
) -> None:
    """Draws the share of utterances per bin, or a remark where nothing was measured."""
    axes.set(ylabel="utterances (%)")
    histogram = statistics[name]
    if histogram is None:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        return
    edges = scale * np.array(histogram["edges"])
    shares = 100 * np.array(histogram["counts"]) / max(1, histogram["count"])
    axes.stairs(shares, edges, fill=True, color="0.7")
    before = earlier[name] if earlier is not None else None
    if before is not None:
        axes.stairs(100 * np.array(before["counts"]) / max(1, before["count"]), edges, color="k")
    used = np.flatnonzero(shares if before is None else shares + np.array(before["counts"]))
    axes.set_xlim(edges[max(0, used[0] - 2)], edges[min(len(edges) - 1, used[-1] + 3)])


def graph(
    boxes: Mapping[str, tuple[tuple[float, float], str]],
    arrows: Sequence[tuple[Sequence[tuple[float, float]], str]],
    remarks: Mapping[str, str],
    title: str,
    path: Path,
) -> None:
    """Draws boxes in layers and arrows between them, in black on white.

    Args:
        boxes: mapping of name to ((x, layer), second line). One unit of x is a box and its gap.
        arrows: (points from box to box, label); an arrow with an empty label is dashed.
        remarks: mapping of name to a third line; may be empty.
        title: str.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    xs = [x for points, _ in arrows for x, _ in points] + [xy[0] for xy, _ in boxes.values()]
    layers = max(xy[1] for xy, _ in boxes.values())
    figure = open_figure(path, (1.9 * (max(xs) - min(xs) + 1.2), 1.15 * (layers + 1)))
    axes = figure.subplots()
    height = {}
    for name, (point, second_line) in boxes.items():
        lines = [line for line in dict.fromkeys([name, second_line, remarks.get(name, "")]) if line]
        height[point] = 0.13 + 0.12 * len(lines)
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "black"}
        text, (x, y) = "\n".join(lines), point
        axes.text(x, -y, text, ha="center", va="center", bbox=box, zorder=3, fontsize=9)
    for points, label in arrows:
        _draw_arrow(axes, points, label, height[points[0]] / 2, height[points[-1]] / 2)
    axes.set(xlim=(min(xs) - 0.6, max(xs) + 0.6), ylim=(-layers - 0.4, 0.4), title=title)
    axes.axis("off")
    save_figure(figure, path)


def _draw_arrow(
    axes: Any, points: Sequence[tuple[float, float]], label: str, below: float, above: float
) -> None:
    """Draws one arrow through points, each segment downwards, with a label at its last segment.

    It begins `below` the first point and ends `above` the last.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    corners = [(x, -y) for x, y in points]
    corners[0] = (corners[0][0], corners[0][1] - below)
    corners[-1] = (corners[-1][0], corners[-1][1] + above)
    vertices, codes = [corners[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(corners):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(vertices, codes),
            arrowstyle="-|>",
            mutation_scale=11,
            linestyle="-" if label else (0, (4, 3)),
            color="0.25",
        )
    )
    (x0, y0), (x1, y1) = corners[-2:]
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    axes.text((x0 + x1) / 2, (y0 + y1) / 2, label, fontsize=7, ha="center", va="center", bbox=box)
