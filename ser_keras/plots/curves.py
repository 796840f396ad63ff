"""Curves of training: loss and scores over the epochs, UA over the share of labels."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.plots.picture import bar_ends, open_figure, save_figure

# For readers without colour.
_LINES = ("-", "--", "-.", ":")


def learning_curves(result: Mapping[str, Any], path: Path) -> None:
    """Draws the training loss of every fold over the epochs, and a score beside it.

    Where validation speakers chose the epoch, the score is their UA over the epochs, otherwise the
    UA of the test part after the last epoch. An ensemble is not trained: in place of its loss the
    UA of its members is drawn.

    Args:
        result: a cross-validation result, see `experiments.crossval.run_crossval`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (10, 3.5))
    left, right = figure.subplots(1, 2)
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    if "members" in result:
        _draw_members(left, result)
        _draw_test(right, result, "mean of the members")
        save_figure(figure, path)
        return
    for fold, line in zip(result["folds"], cycle(_LINES), strict=False):
        epochs = range(1, len(fold["history"]) + 1)
        left.plot(epochs, [logs["loss"] for logs in fold["history"]], line, label=fold["fold"])
    left.set(xlabel="epoch", ylabel="training loss (nats)", yscale="log")
    left.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(title="fold", fontsize="x-small", loc="outside right center")
    if result["epoch_chosen_by"] == "validation":
        _draw_validation(right, result["folds"])
    else:
        _draw_test(right, result, f"after epoch {result['folds'][0]['epoch']}")
    save_figure(figure, path)


def _draw_validation(axes: Any, folds: Sequence[Mapping[str, Any]]) -> None:
    """Draws validation UA over the epochs, with a dot at the epoch that was kept."""
    for fold, line in zip(folds, cycle(_LINES), strict=False):
        values = [100 * logs["valid_ua"] for logs in fold["history"]]
        axes.plot(range(1, len(values) + 1), values, line)
        axes.plot(fold["epoch"], values[fold["epoch"] - 1], "k.", zorder=3)
    axes.set(xlabel="epoch", ylabel="validation UA (%), dot: epoch kept")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _draw_members(axes: Any, result: Mapping[str, Any]) -> None:
    """Draws the test UA of an ensemble and of every member, with intervals over speakers."""
    rows = [("ensemble", result["pooled"]), *((row["name"], row) for row in result["members"])]
    speakers = result["pooled"].get("speakers")
    values = 100 * np.array(
        [[row["ua"], *bar_ends(row["ua"], row["ua_interval"], speakers)] for _, row in rows]
    )
    heights = np.arange(len(rows))[::-1]
    axes.hlines(heights, values[:, 1], values[:, 2], color="grey")
    axes.plot(values[:, 0], heights, "ko")
    axes.axvline(100 / len(result["class_set"]["classes"]), color="black", linestyle="--")
    axes.set_yticks(heights, [name for name, _ in rows])
    axes.set(xlabel="test UA (%), 95 % over speakers, dashed: chance")


def _draw_test(axes: Any, result: Mapping[str, Any], title: str) -> None:
    """Draws the test UA of every fold, beside chance."""
    folds = result["folds"]
    axes.bar([fold["fold"] for fold in folds], [100 * fold["ua"] for fold in folds])
    axes.axhline(100 / len(result["class_set"]["classes"]), color="black", linestyle="--")
    axes.tick_params(axis="x", rotation=45)
    axes.set(
        xlabel="fold",
        ylabel="test UA (%), dashed: chance",
        title=title,
    )


def label_curve(result: Mapping[str, Any], path: Path) -> None:
    """Draws UA against the share of labels, with and without unlabelled speech.

    Args:
        result: see `experiments.label_curve.run_label_curve`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (6, 4))
    axes = figure.subplots()
    kinds = sorted({point["unlabelled"] for point in result["points"]})
    for kind, mark, line in zip(kinds, cycle("os^D"), cycle(_LINES), strict=False):
        points = [point for point in result["points"] if point["unlabelled"] == kind]
        shares = [100 * point["fraction"] for point in points]
        values = 100 * np.array(
            [[point["ua"], *bar_ends(point["ua"], point["ua_interval"])] for point in points]
        )
        (curve,) = axes.plot(shares, values[:, 0], mark + line, label=kind)
        axes.fill_between(shares, values[:, 1], values[:, 2], color=curve.get_color(), alpha=0.15)
    chance = 100 / len(result["class_set"]["classes"])
    axes.axhline(chance, color="black", linestyle=":", label="chance")
    label = "training utterances with a label (%)"
    if any(point.get("of_validation") for point in result["points"]):
        label += ";\nvalidation speakers, who choose the epoch, keep all of theirs"
    axes.set(xscale="log", xlabel=label, ylabel="test UA (%)")
    shares = sorted({100 * point["fraction"] for point in result["points"]})
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.minorticks_off()
    axes.legend(title="bands: 95 % over speakers", fontsize="small", title_fontsize="small")
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    save_figure(figure, path)
