"""Pictures of a model's attention to a recording."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.annotations import Tier
from ser_keras.plots.outline import outline_half
from ser_keras.plots.picture import open_figure, save_figure
from ser_keras.plots.tiers import PANEL_INCHES, draw_boundaries, draw_tier

WIDTH_INCHES = 10.0
# Share of the width without titles and colour bars, roughly; decides which labels have room.
AXES_SHARE = 0.85
RANGE_DB = 70.0
TOP_DOWN_CLASSES = 3
# A picture has about as many pixels in a row.
WAVEFORM_COLUMNS = 1500
# Colours that colour-blind readers can distinguish (Okabe and Ito 2008); marks and dashes help
# without colour.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#332288")
MARKS = "ovs^D<P>X*"
DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))

Panel = tuple[float, Callable[[Any, Any], None]]


@dataclass(frozen=True)
class Explanation:
    """The maps of a model for a part of a recording. Times are seconds from the recording's start.

    Args:
        system: str. A name in `ser_keras.models`.
        model: str. Name and version of the export.
        source: str. Name of the recording.
        probabilities: mapping of class to probability, in the model's order.
        waveform: float32 (samples,). The input of the model.
        sample_rate_hz: int.
        start_s: float. Start of the waveform.
        frame_edges_s: (frames + 1,). Frame t stands for the time between edges t and t + 1. No
            frame covers the time before the first and after the last edge, mostly silence.
        features: (rows, frames). The features of the model, see `feature_name`.
        feature_name: str. Quantity and unit.
        row_edges: (rows + 1,). Edges of the features' rows, see `row_name`.
        row_name: str. Quantity and unit.
        maps: mapping of name to an array whose last axis is the frames. Weights are 1 where all
            frames or cells count alike: "attention", of frames or of rows and frames; for MOMA
            "attention_layer1" and "attention_blocks" (views, frames), whose sum, each times its
            "gamma" (views,), is its attention. Scores of the attention-pooling CNN: "top_down"
            (K, rows, frames). Of the predictive VRNN: "saliency" (values, frames), nan where
            nothing was predicted, "attention", its W of 0 and 1, and "sampled_share" (steps,).
        posterior: (steps, K). Probabilities after each step of a model that streams; empty for the
            others.
        posterior_s: (steps,). End of each step.
        statistics: mapping of map to its numbers, see `ser_keras.models.attention.map_statistics`;
            empty where the model has no weights of frames.
        tiers: annotated words and phones within the waveform.
    """

    system: str
    model: str
    source: str
    probabilities: Mapping[str, float]
    waveform: np.ndarray
    sample_rate_hz: int
    start_s: float
    frame_edges_s: np.ndarray
    features: np.ndarray
    feature_name: str
    row_edges: np.ndarray
    row_name: str
    maps: Mapping[str, np.ndarray]
    posterior: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    posterior_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    statistics: Mapping[str, Any] = field(default_factory=dict)
    tiers: Sequence[Tier] = ()

    @property
    def end_s(self) -> float:
        """End of the waveform."""
        return self.start_s + len(self.waveform) / self.sample_rate_hz

    @property
    def frame_middles_s(self) -> np.ndarray:
        """Middle of every frame (frames,)."""
        middles: np.ndarray = (self.frame_edges_s[1:] + self.frame_edges_s[:-1]) / 2
        return middles

    @property
    def likeliest(self) -> list[tuple[str, float]]:
        """Classes with their probabilities, the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    @property
    def in_words(self) -> str:
        """The three likeliest classes with their probabilities."""
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.likeliest[:3])


def draw_explanation(explanation: Explanation, path: Path) -> None:
    """Draws the maps of a model below the waveform, or over the spectrogram, on one time axis.

    Tiers of words and phones stand below; their boundaries run through the panels of lines.

    MOMA: the attention of both layers (its Figs. 2-5). Sparse autoencoder: its attention. Attention
    FCN: the spectrogram and the attention of its cells (its Fig. 4). Attention-pooling CNN: the
    same with the bottom-up map, and the top-down maps of the likeliest classes. Predictive VRNN:
    the posterior at every step, the saliency of every value, and which of them were sampled.

    Args:
        explanation: see `serving.explain.explain`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    panels = [(1.3, _waveform), *_panels(explanation)]
    heights = [*(height for height, _ in panels), *(PANEL_INCHES for _ in explanation.tiers)]
    figure = open_figure(path, (WIDTH_INCHES, sum(heights) + 0.8))
    rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    for axes, (_, draw) in zip(rows, panels, strict=False):
        draw(axes, explanation)
        draw_boundaries(axes, explanation.tiers)
        has_gaps = _hatch_uncovered(axes, explanation)
    omitted = 0
    for axes, tier in zip(rows[len(panels) :], explanation.tiers, strict=True):
        width = AXES_SHARE * WIDTH_INCHES
        omitted += draw_tier(axes, tier, explanation.start_s, explanation.end_s, width)
    rows[-1].set_xlim(explanation.start_s, explanation.end_s)
    hatched = "; hatched: not read by the model" if has_gaps else ""
    cramped = f"; {omitted} labels have no room" if omitted else ""
    rows[-1].set_xlabel(f"time in the recording (s){hatched}{cramped}")
    model = f"{explanation.model} ({explanation.system})"
    title = f"{explanation.source}: {explanation.in_words}\nby {model}"
    # A dollar in a file's name is no formula.
    figure.suptitle(title, fontsize="medium", parse_math=False)
    save_figure(figure, path)


def _panels(explanation: Explanation) -> list[Panel]:
    if "saliency" in explanation.maps:
        return [(1.8, _posterior), (2.2, _saliency), (2.2, _sampled)]
    if explanation.maps["attention"].ndim == 2:
        panels = [(2.0, _spectrogram), (2.0, _attention_map)]
        count = min(TOP_DOWN_CLASSES, len(explanation.maps.get("top_down", ())))
        return panels + [(1.6, _top_down(number)) for number in range(count)]
    layers: list[Panel] = [(1.5, _first_layer)] if "attention_layer1" in explanation.maps else []
    return [*layers, (2.0, _attention)]


# === Panels ===


def _waveform(axes: Any, explanation: Explanation) -> None:
    """Draws the range of the samples of each column of the picture."""
    step = -(-len(explanation.waveform) // WAVEFORM_COLUMNS)
    starts = np.arange(0, len(explanation.waveform), step)
    low, high = (f.reduceat(explanation.waveform, starts) for f in (np.minimum, np.maximum))
    times = explanation.start_s + starts / explanation.sample_rate_hz
    axes.fill_between(times, low, high, color="0.25", linewidth=0.5)
    axes.set_ylabel("amplitude\n(full scale 1)")


def _first_layer(axes: Any, explanation: Explanation) -> None:
    _weights(axes, explanation, explanation.maps["attention_layer1"], "layer 1", color="black")
    _even(axes, 1.0)


def _attention(axes: Any, explanation: Explanation) -> None:
    """Draws the weights of the frames; for a mixture each view's part of them as well."""
    views = explanation.maps.get("attention_blocks", ())
    shares = explanation.maps.get("gamma", ())
    for number, (view, gamma) in enumerate(zip(views, shares, strict=True)):
        dash = DASHES[number % len(DASHES)]
        name = f"view {number + 1}, $\\gamma$ = {gamma:.2f}"
        colour = COLOURS[number % len(COLOURS)]
        _weights(axes, explanation, gamma * view, name, linestyle=dash, color=colour)
    name = "layer 2, sum of its views" if len(views) else "attention"
    _weights(axes, explanation, explanation.maps["attention"], name, color="black", linewidth=1.8)
    _even(axes, float(np.sum(shares)) if len(views) else 1.0)


def _weights(
    axes: Any, explanation: Explanation, weights: np.ndarray, name: str, **style: Any
) -> None:
    axes.plot(explanation.frame_middles_s, weights, label=name, **style)


def _even(axes: Any, weight: float) -> None:
    """Draws the weight of every frame if all counted alike, and the legend of all lines."""
    axes.axhline(weight, color="0.5", linewidth=0.8, label="all frames alike")
    low, high = axes.get_ylim()
    # The axis starts at 0, where matplotlib's margin, a share of the range, is too small.
    axes.set_ylim(min(0.0, low), 1.05 * high)
    axes.set_ylabel("attention\n(weight x frames)")
    _legend(axes)


def _spectrogram(axes: Any, explanation: Explanation) -> None:
    """Draws the features, with an outline around the cells with half of the attention."""
    levels, name = explanation.features, explanation.feature_name
    lowest = max(levels.min(), levels.max() - RANGE_DB) if "dB" in name else None
    _cells(axes, explanation, levels, name, cmap="Greys", vmin=lowest)
    edges_s, row_edges = explanation.frame_edges_s, explanation.row_edges
    outline_half(axes, explanation.maps["attention"], edges_s, row_edges)


def _attention_map(axes: Any, explanation: Explanation) -> None:
    from matplotlib.colors import PowerNorm

    name = "attention\n(weight x cells)"
    # One heavy cell would leave all others black on an even scale.
    root = PowerNorm(0.5, vmin=0.0)
    _cells(axes, explanation, explanation.maps["attention"], name, cmap="cividis", norm=root)
    kind = "bottom-up map, of all classes" if "top_down" in explanation.maps else "attention"
    axes.set_title(f"{kind}; 1: all cells alike; colours by the square root", fontsize="small")


def _top_down(rank: int) -> Callable[[Any, Explanation], None]:
    """Returns a function that draws the map of the class of a rank; all share a colour scale."""

    def draw(axes: Any, explanation: Explanation) -> None:
        name, share = explanation.likeliest[rank]
        number = list(explanation.probabilities).index(name)
        maps = explanation.maps["top_down"]
        limits = {"vmin": np.nanmin(maps), "vmax": np.nanmax(maps)}
        _cells(axes, explanation, maps[number], "score\n(logit)", cmap="cividis", **limits)
        title = f"top-down map of {name} ({100 * share:.0f} %)"
        axes.set_title(title, fontsize="small", parse_math=False)

    return draw


def _posterior(axes: Any, explanation: Explanation) -> None:
    best = explanation.likeliest[0][0]
    by_class = zip(explanation.probabilities, explanation.posterior.T, strict=True)
    for number, (name, posterior) in enumerate(by_class):
        style = {"color": COLOURS[number % len(COLOURS)], "linewidth": 0.9, "markersize": 4}
        if name == best:
            style = {"color": "black", "linewidth": 2.0, "markersize": 5, "zorder": 3}
        mark = MARKS[number % len(MARKS)]
        axes.plot(explanation.posterior_s, posterior, marker=mark, label=name, **style)
    axes.set(ylabel="posterior at the\nend of a window", ylim=(-0.03, 1.03))
    _legend(axes)


def _saliency(axes: Any, explanation: Explanation) -> None:
    saliency = explanation.maps["saliency"]
    name = "|seen - predicted|\n(deviations)"
    _cells(axes, explanation, saliency, name, cmap="cividis", vmin=0.0)
    axes.set_title("saliency; of the first window nothing was predicted", fontsize="small")


def _sampled(axes: Any, explanation: Explanation) -> None:
    from matplotlib.colors import ListedColormap

    sampled = explanation.maps["attention"]
    two = ListedColormap(["0.9", "0.2"])
    bar = _cells(axes, explanation, sampled, "sampled (W)", cmap=two, vmin=-0.5, vmax=1.5)
    bar.set_ticks([0, 1], labels=["no", "yes"])
    title = f"sampled: {100 * explanation.maps['sampled_share'].mean():.0f} % of all values"
    axes.set_title(f"{title}; elsewhere the prediction is used", fontsize="small")


# === Parts of panels ===


def _legend(axes: Any) -> None:
    """Draws the legend in a row above the lines, which it does not cover."""
    position = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    legend = axes.legend(**position, ncols=9, fontsize="small", frameon=False, borderaxespad=0.1)
    for name in legend.get_texts():
        name.set_parse_math(False)


def _cells(axes: Any, explanation: Explanation, values: np.ndarray, name: str, **style: Any) -> Any:
    """Draws values (rows, frames) as an image; returns its colour bar."""
    rows, row_name = explanation.row_edges, explanation.row_name
    if len(values) != len(rows) - 1:
        # Windows that the model makes have values of their own.
        rows, row_name = np.arange(len(values) + 1) - 0.5, "value of the window\n(number)"
    image = axes.pcolorfast(explanation.frame_edges_s, rows, values, **style)
    axes.set_ylabel(row_name)
    return axes.figure.colorbar(image, ax=axes, label=name, pad=0.01)


def _hatch_uncovered(axes: Any, explanation: Explanation) -> bool:
    """Hatches the time that no frame covers; tells whether any of it is visible."""
    start_s, end_s = explanation.start_s, explanation.end_s
    first_s, last_s = explanation.frame_edges_s[[0, -1]]
    shortest_s = (end_s - start_s) / WAVEFORM_COLUMNS
    gaps = ((start_s, first_s), (last_s, end_s))
    visible = [(left, right) for left, right in gaps if right - left > shortest_s]
    for left, right in visible:
        axes.axvspan(left, right, facecolor="none", edgecolor="0.6", hatch="////", linewidth=0)
    return bool(visible)
