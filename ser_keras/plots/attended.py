"""The spectrogram of a stretch of speech with a model's attention on it, for screens of any width."""

from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec
from ser_keras.plots.picture import open_figure, save_figure
from ser_keras.plots.timeline import DOTS_PER_PIXEL, PIXELS_PER_INCH

RANGE_DB = 70.0
HIGHEST_HZ = 8000


def attended_spectrogram(
    waveform: np.ndarray,
    start_s: float,
    path: Path,
    *,
    width_px: int = 760,
    attention: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Draws a spectrogram in grey and the attention of its frames as a line over it.

    Args:
        waveform: (samples,) at 16 kHz, -1 to 1.
        start_s: float. Where it begins in the recording.
        path: Path. `.png` or `.svg`.
        width_px: int. How wide it will be shown.
        attention: (edges_s, weights): frame t has weights[t] and stands for the time in the
            recording between edges t and t + 1; None draws none.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (width_px / PIXELS_PER_INCH, 3.4))
    figure.set_dpi(DOTS_PER_PIXEL * PIXELS_PER_INCH)
    axes = figure.subplots()
    spec = get_spec("spectrogram400")
    values = extract(spec, waveform).T
    ends = start_s + len(waveform) / spec.sample_rate_hz
    image = axes.imshow(
        values,
        cmap="Greys",
        vmin=values.max() - RANGE_DB,
        origin="lower",
        aspect="auto",
        extent=(start_s, ends, 0, HIGHEST_HZ / 1000),
    )
    axes.set(xlabel="time in the recording (s)", ylabel="frequency (kHz)")
    figure.colorbar(image, ax=axes, label="level (dB)", location="top", aspect=40)
    if attention is not None:
        _weights(axes.twinx(), *attention)
    axes.set_xlim(start_s, ends)
    save_figure(figure, path)


def _weights(axes: Any, edges_s: np.ndarray, weights: np.ndarray) -> None:
    """Draws weights on an axis of their own, where 1 is what every frame would have alike."""
    from matplotlib.patheffects import withStroke
