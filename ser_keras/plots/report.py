"""Pictures of a report: scores by speaker, calibration, scores on other corpora."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ser_keras.metrics import NO_INTERVAL, RANGE_OF_TWO, interval_kind
from ser_keras.plots.picture import (
    COLUMN_INCHES,
    PAPER_DOTS_PER_INCH,
    bar_ends,
    open_figure,
    save_figure,
)

_MARKS = "os^Dv<P>X*"
_LINES = ("-", "--", ":", "-.")


def speaker_scores(scores: Mapping[str, Mapping[str, float]], chance: float, path: Path) -> None:
    """Draws the UA of every speaker, with several runs side by side.

    Args:
        scores: mapping of the run's name to UA by speaker. Speakers are sorted by the first run's.
        chance: float. 1 / number of classes.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    first = next(iter(scores.values()))
    speakers = {name for run_scores in scores.values() for name in run_scores}
    names = sorted(speakers, key=lambda name: (-first.get(name, -1.0), name))
    figure = open_figure(path, (max(5.0, 1.5 + 0.32 * len(names)), 3.2 + 0.2 * len(scores)))
    axes = figure.subplots()
    for (run, run_scores), mark in zip(scores.items(), cycle(_MARKS), strict=False):
        ranks = [rank for rank, name in enumerate(names) if name in run_scores]
        values = [100 * run_scores[names[rank]] for rank in ranks]
        axes.plot(ranks, values, mark, label=run, markersize=6)
    axes.axhline(100 * chance, color="black", linestyle="--", linewidth=1, label="chance")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize="small")
    axes.set(xlabel="speaker", ylabel="UA of the speaker (%)", ylim=(-3, 103))
    axes.grid(axis="y", color="0.9")
    figure.legend(loc="outside upper left", fontsize="small")
    save_figure(figure, path)


def scores_with_baselines(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws the UA of every run with its interval, beside its baseline and chance.

    Args:
        rows: of each run "run", "ua", "ua_interval", "speakers", "chance" and "baseline", which has
            "ua", or None.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    names = [fill(str(row["run"]), 60) for row in rows]
    lines = sum(name.count("\n") + 2 for name in names)
    figure = open_figure(path, (5.6, 1.2 + 0.22 * lines))
    axes = figure.subplots()
    for height, row in enumerate(rows):
        low, high = bar_ends(row["ua"], row["ua_interval"], row["speakers"])
        axes.hlines(height, 100 * low, 100 * high, color="0.5", linewidth=3)
        axes.plot(100 * row["ua"], height, "ko", label="run" if height == 0 else None)
        axes.plot(100 * row["chance"], height, "|", color="0.3", markersize=12)
        if row["baseline"]:
            axes.plot(100 * row["baseline"]["ua"], height, "D", color="#d55e00", fillstyle="none")
    axes.plot([], [], "D", color="#d55e00", fillstyle="none", label="baseline")
    axes.plot([], [], "|", color="0.3", markersize=10, linestyle="none", label="chance")
    # Names of runs in a tree of results are long; above the line they have all the width.
    for height, name in enumerate(names):
        axes.text(1, height - 0.2, name, va="bottom", fontsize="small")
    axes.set_yticks([])
    axes.set(xlabel="UA (%), line: 95 % over speakers", xlim=(0, 103))
    axes.set_ylim(len(rows) - 0.6, -0.9)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper left", ncols=3, fontsize="small")
    save_figure(figure, path)


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Draws a confusion matrix for one column of a paper: shares of the true class, in percent.

    Args:
        counts: (K, K). Utterances, true classes in the rows.
        classes: the K names.
        path: Path. `.pdf`, `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    table = np.asarray(counts, float)
    totals = table.sum(axis=1, keepdims=True)
    # A class without utterances has no shares.
    shares = np.divide(table, totals, out=np.full_like(table, np.nan), where=totals > 0)
    _draw_shares(shares, classes, classes, ("predicted", "true"), path)


def recall_by_speaker(
    recalls: Mapping[str, Sequence[float | None]], classes: Sequence[str], path: Path
) -> None:
    """Draws the recall of every class, and their mean, for every speaker, in percent.

    Args:
        recalls: by speaker, one for each class; None where the speaker has no utterance of it.
        classes: their names.
        path: Path. `.pdf`, `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    shares = np.array([list(row) for row in recalls.values()], float)
    means = np.nanmean(shares, axis=1, keepdims=True)
    columns = [*classes, "mean (UA)"]
    _draw_shares(np.hstack([shares, means]), list(recalls), columns, ("", "speaker"), path)


def _draw_shares(
    shares: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
    path: Path,
) -> None:
    """Draws a matrix of shares as wide as a column of a paper; an empty cell is not a number."""
    # Half a centimetre is enough for a number, above and below it.
    height = 0.75 + 0.2 * len(rows) if len(rows) > len(columns) else 0.85 * COLUMN_INCHES
    figure = open_figure(path, (COLUMN_INCHES, height), PAPER_DOTS_PER_INCH)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            ink = "white" if share > 0.6 else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink)
    # Dollars in the name of a class or speaker set no formula.
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), columns, parse_math=False, **slanted)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.tick_params(length=0)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    save_figure(figure, path)


def reliability(
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    chance: float,
    path: Path,
    size: tuple[float, float] = (5.0, 4.6),
) -> None:
    """Draws accuracy at each level of confidence, and the number of utterances there.

    Args:
        curves: mapping of name to the bins of `metrics.reliability`.
        chance: float. 1 / number of classes, the lowest confidence possible.
        path: Path. `.pdf`, `.svg` or `.png`.
        size: width and height in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, size, PAPER_DOTS_PER_INCH)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ends = (100 * chance, 100)
    upper.plot(ends, ends, color="0.6", linewidth=1, label="perfectly calibrated")
    for (name, bins), mark, line in zip(curves.items(), cycle(_MARKS), cycle(_LINES), strict=False):
        confidence, accuracy, count = (
            np.array([level[key] for level in bins])
            for key in ("confidence", "accuracy", "utterances")
        )
        style = mark + line
        (curve,) = upper.plot(100 * confidence, 100 * accuracy, style, label=name, markersize=5)
        lower.plot(100 * confidence, count, style, color=curve.get_color(), markersize=4)
    upper.set(ylabel="recognised (%)", ylim=(-3, 103))
    upper.legend(fontsize="small")
    lower.set(xlabel="confidence: largest probability (%)", ylabel="utterances")
    lower.set_ylim(bottom=0)
    save_figure(figure, path)


def corpus_matrix(result: Mapping[str, Any], path: Path) -> None:
    """Draws the UA of each corpus's model on each other corpus, with intervals.

    Args:
        result: see `experiments.crosscorpus.run_crosscorpus`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    names = result["datasets"]
    values = np.full((len(names), len(names)), np.nan)
    figure = open_figure(path, (2.6 + 1.3 * len(names), 1.8 + 1.0 * len(names)))
    axes = figure.subplots()
    chance = 100 / len(result["class_set"]["classes"])
    for cell in result["cells"]:
        row, column = names.index(cell["train"]), names.index(cell["test"])
        values[row, column] = 100 * cell["ua"]
    image = axes.imshow(values, cmap="cividis", vmin=chance, vmax=100)
    for cell in result["cells"]:
        row, column = names.index(cell["train"]), names.index(cell["test"])
        low, high = (100 * end for end in cell["ua_interval"])
        kind = interval_kind(cell["ua_interval"], cell.get("speakers"))
        text = f"{100 * cell['ua']:.1f}\n"
        text += "–" if kind == NO_INTERVAL else f"{low:.1f} – {high:.1f}"
        text += f"\n{RANGE_OF_TWO}" * (kind == RANGE_OF_TWO)
        ink = "black" if 100 * cell["ua"] > (chance + 100) / 2 else "white"
        axes.text(column, row, text, ha="center", va="center", color=ink)
    for number in range(len(names)):
        axes.text(number, number, "trained on", ha="center", va="center", color="0.4")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="tested on", ylabel="trained on")
    figure.colorbar(image, ax=axes, label="UA (%), from chance; below: 95 % over speakers")
    figure.suptitle(f"{result['model']}, {len(result['class_set']['classes'])} shared classes")
    save_figure(figure, path)
