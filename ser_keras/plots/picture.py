"""Figures for a file, which are written to it whole and without a date."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ser_keras.errors import ConfigError
from ser_keras.files import replacing
from ser_keras.metrics import NO_INTERVAL, interval_kind

# One column of a paper of two: 8.4 cm.
COLUMN_INCHES = 8.4 / 2.54
# Fine enough for print.
PAPER_DOTS_PER_INCH = 600


def open_figure(path: Path, size: tuple[float, float], dots_per_inch: int = 100) -> Any:
    """Returns a matplotlib figure.

    Args:
        path: where it will be written, for the error.
        size: width and height in inches.
        dots_per_inch: int. How fine a `.png` is.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}: pictures need matplotlib. Install it with: pip install 'ser-keras[plot]'"
        ) from error
    return Figure(figsize=size, dpi=dots_per_inch, layout=_repeatable_layout())


def save_figure(figure: Any, path: Path) -> None:
    """Writes the picture without date or random ids: one result gives one file, byte for byte."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    _lay_out(figure, path)
    with replacing(path) as stream, rc_context({"svg.hashsalt": "ser_keras"}):
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix)
        figure.savefig(stream, format=path.suffix.removeprefix("."), metadata=metadata)


def _lay_out(figure: Any, path: Path) -> None:
    """Lays the figure out now and for good.

    Left to matplotlib, it draws everything twice for each file, and lays it out each time.
    """
    from matplotlib.backend_bases import get_registered_canvas_class

    engine = figure.get_layout_engine()
    if engine is None:
        return
    # Texts are as wide as those of the file's own format.
    canvas = get_registered_canvas_class(path.suffix.removeprefix("."))
    if canvas is not None:
        canvas(figure)
    engine.execute(figure)
    figure.set_layout_engine(None)


@contextmanager
def paper_style() -> Iterator[None]:
    """Within it, letters and lines have the size that they need in one column of a paper.

    Fonts go into a PDF as outlines of TrueType, which publishers ask for.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ModuleNotFoundError as error:
        raise ConfigError(
            "figures need matplotlib. Install it with: pip install 'ser-keras[plot]'"
        ) from error
    letters = ("axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize")
    style: dict[str, float] = dict.fromkeys((*letters, "legend.fontsize"), 7)
    style |= {"font.size": 8, "axes.linewidth": 0.6, "lines.linewidth": 1.0, "pdf.fonttype": 42}
    with rc_context(style):
        yield


def bar_ends(
    value: float, ends: Sequence[float], speakers: int | None = None
) -> tuple[float, float]:
    """Returns where a bar of an interval over speakers ends: at its value where there is none.

    Example:
        >>> bar_ends(0.5, (0.4, 0.6)), bar_ends(0.5, (0.0, 1.0), 1)
        ((0.4, 0.6), (0.5, 0.5))
    """
    low, high = (value, value) if interval_kind(ends, speakers) == NO_INTERVAL else ends
    return low, high


def _repeatable_layout() -> Any:
    """Returns a layout engine that makes room for texts and gives the same positions every time.

    The last digits of its solver's solution depend on addresses in memory, and the ids in an SVG
    depend on these digits.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    class Rounded(ConstrainedLayoutEngine):
        def execute(self, fig: Any) -> None:
            super().execute(fig)
            for axes in fig.axes:
                bounds = axes.get_position(original=True).bounds
                axes.set_position([round(value, 6) for value in bounds])
                # Axes whose position was set are left out of the next layout.
                axes.set_in_layout(True)

    return Rounded()
