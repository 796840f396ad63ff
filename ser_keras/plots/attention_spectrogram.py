"""The spectrogram of a part of a recording with a model's attention, for any width of screen."""

from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.features.extract import extract
from ser_keras.features.kinds.spectrogram import SpectrogramSpec
from ser_keras.plots.explanation import RANGE_DB, Explanation
from ser_keras.plots.outline import outline_half
from ser_keras.plots.picture import open_figure, save_figure
from ser_keras.plots.timeline import DOTS_PER_INCH, PIXELS_PER_INCH

# Finer than the ear, coarser than a screen.
SPEC = SpectrogramSpec(fft_points=1024, num_bins=512)
FREQUENCY = "frequency (Hz)"
LINE = "#0072b2"


def draw_attention_spectrogram(
    waveform: np.ndarray,
    path: Path,
    *,
    start_s: float = 0.0,
    explanation: Explanation | None = None,
    width_px: int = 760,
) -> None:
    """Draws a spectrogram in grey and the model's attention over it.

    Attention to frames is a line, attention to times and frequencies an outline around the cells
    that have half of it. If the values of a frame are no frequencies, as for a predictive VRNN, the
    line is the number of values that were attended to.

    Args:
        waveform: (samples,) at 16 kHz, -1 to 1.
        path: Path. `.png` or `.svg`.
        start_s: float. Start of the waveform in the recording.
        explanation: maps of the model; None draws the spectrogram alone.
        width_px: int. Width at which the picture is shown.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (width_px / PIXELS_PER_INCH, 3.6), DOTS_PER_INCH)
    axes = figure.subplots()
    levels = extract(SPEC, waveform).T
    end_s = start_s + len(waveform) / SPEC.sample_rate_hz
    image = axes.imshow(
        levels,
        cmap="Greys",
        vmin=levels.max() - RANGE_DB,
        origin="lower",
        aspect="auto",
        extent=(start_s, end_s, 0, SPEC.sample_rate_hz / 2),
    )
    axes.set(xlabel="time in the recording (s)", ylabel=FREQUENCY)
    figure.colorbar(image, ax=axes, label="level (dB)", location="top", aspect=40, pad=0.02)
    if explanation is not None:
        _draw_attention(axes, explanation)
    axes.set_xlim(start_s, end_s)
    save_figure(figure, path)


def _draw_attention(axes: Any, explanation: Explanation) -> None:
    attention = explanation.maps["attention"]
    if attention.ndim == 2 and explanation.row_name == FREQUENCY:
        outline_half(axes, attention, explanation.frame_edges_s, explanation.row_edges)
    else:
        _draw_line(axes, explanation)


def _draw_line(axes: Any, explanation: Explanation) -> None:
    """Draws the attention of the frames as a line with an axis of its own."""
    from matplotlib.patheffects import withStroke

    weights = explanation.maps["attention"]
    over_time = weights if weights.ndim == 1 else weights.sum(axis=0)
    right = axes.twinx()
    right.plot(
        explanation.frame_middles_s,
        over_time / over_time.mean(),
        color=LINE,
        linewidth=2,
        path_effects=[withStroke(linewidth=4, foreground="white")],
    )
    right.axhline(1.0, color=LINE, linestyle=":", linewidth=1)
    right.set_ylabel("attention (dotted: all alike)", color=LINE)
    right.set_ylim(0, 1.1 * max(right.get_ylim()[1], 1))
