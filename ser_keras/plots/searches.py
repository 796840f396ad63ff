"""Pictures of searches and studies: trials by their settings, scores by the values of one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.plots.picture import open_figure, save_figure


def parallel_coordinates(
    settings: Sequence[tuple[str, str, str]],
    trials: Sequence[tuple[Sequence[float], float]],
    path: Path,
) -> None:
    """Draws every trial of a search as a line across its settings, coloured by its UA.

    Args:
        settings: (name, lowest value, highest value) of each.
        trials: (position of its value on each setting's axis, 0 to 1; UA) of each.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (max(6.0, 1.6 * len(settings)), 4.5))
    axes = figure.subplots()
    scores = 100 * np.array([ua for _, ua in trials])
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = ScalarMappable(Normalize(scores.min(), scores.max()), "cividis")
    # The best last, so that it lies on top.
    for number in np.argsort(scores, kind="stable"):
        width = 2.5 if scores[number] == scores.max() else 1.0
        style = {"color": colours.to_rgba(scores[number]), "linewidth": width}
        axes.plot(trials[number][0], marker="o", markersize=2 * width, **style)
    for position, (_, low, high) in enumerate(settings):
        axes.axvline(position, color="0.8", zorder=0)
        axes.annotate(low, (position, 0), (0, -12), textcoords="offset points", ha="center")
        axes.annotate(high, (position, 1), (0, 6), textcoords="offset points", ha="center")
    names = [name.rsplit(".", 1)[-1].replace("_", " ") for name, _, _ in settings]
    axes.set(ylim=(-0.12, 1.1), yticks=[], xticks=range(len(settings)))
    axes.set_xticklabels(names, rotation=20, ha="right")
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    figure.colorbar(colours, ax=axes, label="UA of validation speakers (%), widest: best")
    save_figure(figure, path)


def study(result: Mapping[str, Any], path: Path) -> None:
    """Draws the criterion of a study and every class's recall against the values of each line.

    For the filter study of Li et al. 2018 this is their Fig. 2: WA and the accuracy of the classes
    against the height and the width of the filters. A ring marks the value that was chosen.

    Args:
        result: see `tuning.study.run_study`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    lines, criterion = result["lines"], result["criterion"]
    figure = open_figure(path, (6 * len(lines), 4.5))
    for axes, line in zip(figure.subplots(1, len(lines), squeeze=False)[0], lines, strict=True):
        values = [point["value"] for point in line["points"]]
        positions = range(len(values))
        for name, mark in zip(result["class_set"]["classes"], "ovs^D<P>X*", strict=False):
            shares = [point["recalls"][name] for point in line["points"]]
            recalls = [np.nan if share is None else 100 * share for share in shares]
            axes.plot(positions, recalls, mark, linestyle=":", markersize=4, label=name)
        for key in ("ua", "wa") if criterion == "wa" else ("wa", "ua"):
            style = {"color": "black", "linewidth": 2} if key == criterion else {"color": "0.5"}
            scores = [100 * point[key] for point in line["points"]]
            axes.plot(positions, scores, label=key.upper(), **style)
        # The last scores drawn are the criterion's.
        chosen = values.index(line["chosen"])
        axes.plot(chosen, scores[chosen], "ko", markersize=11, fillstyle="none", label="chosen")
        axes.set_xticks(positions, [f"{value:g}" for value in values])
        axes.set(xlabel=f"{line['about']} ({line['unit']})", ylabel="of validation speakers (%)")
        axes.set_ylim(-3, 103)
    axes.legend(title="class: its recall", bbox_to_anchor=(1.02, 1.0), loc="upper left")
    title = f"{result['model']} on {result['dataset']}, judged by {criterion.upper()}"
    figure.suptitle(f"{title}; {result['paper']}")
    save_figure(figure, path)
