"""Pictures of results: curves, tables, searches, statistics, graphs."""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.plots.picture import open_figure, save_figure

# For readers without colour.
_LINES = ("-", "--", "-.", ":")


def learning_curves(result: Mapping[str, Any], path: Path) -> None:
    """Draws the training loss of every fold over the epochs, and how well it then did.

    Where validation speakers chose the epoch that is their UA over the epochs, otherwise the UA of
    the test part after the last epoch.

    Args:
        result: a cross-validation result, see `ser_keras.experiments.crossval.summarize_run`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (10, 3.5))
    left, right = figure.subplots(1, 2)
    for fold, line in zip(result["folds"], cycle(_LINES), strict=False):
        epochs = range(1, len(fold["history"]) + 1)
        left.plot(epochs, [logs["loss"] for logs in fold["history"]], line, label=fold["fold"])
    left.set(xlabel="epoch", ylabel="training loss (nats)", yscale="log")
    left.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(title="fold", fontsize="x-small", loc="outside right center")
    if result["epoch_chosen_by"] == "validation":
        _validation(right, result["folds"])
    else:
        _test(right, result)
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    save_figure(figure, path)


def label_curve(result: Mapping[str, Any], path: Path) -> None:
    """Draws UA against the share of labels, with and without the speech that has none.

    Args:
        result: see `training.label_curve.run_label_curve`.
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
        values = 100 * np.array([[point["ua"], *point["ua_interval"]] for point in points])
        (drawn,) = axes.plot(shares, values[:, 0], mark + line, label=kind)
        axes.fill_between(shares, values[:, 1], values[:, 2], color=drawn.get_color(), alpha=0.15)
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


def study(result: Mapping[str, Any], path: Path) -> None:
    """Draws the criterion of a study and every class's recall against the values of each line.

    For the filter study of Li et al. 2018 that is their Fig. 2: WA and the accuracy of the classes
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
        places = range(len(values))
        for name, mark in zip(result["class_set"]["classes"], "ovs^D<P>X*", strict=False):
            shares = [point["recalls"][name] for point in line["points"]]
            recalls = [np.nan if share is None else 100 * share for share in shares]
            axes.plot(places, recalls, mark, linestyle=":", markersize=4, label=name)
        for key in ("ua", "wa") if criterion == "wa" else ("wa", "ua"):
            style = {"color": "black", "linewidth": 2} if key == criterion else {"color": "0.5"}
            scores = [100 * point[key] for point in line["points"]]
            axes.plot(places, scores, label=key.upper(), **style)
        # The last scores drawn are the criterion's.
        chosen = values.index(line["chosen"])
        axes.plot(chosen, scores[chosen], "ko", markersize=11, fillstyle="none", label="chosen")
        axes.set_xticks(places, [f"{value:g}" for value in values])
        axes.set(xlabel=f"{line['about']} ({line['unit']})", ylabel="of validation speakers (%)")
        axes.set_ylim(-3, 103)
    axes.legend(title="class: its recall", bbox_to_anchor=(1.02, 1.0), loc="upper left")
    title = f"{result['model']} on {result['dataset']}, judged by {criterion.upper()}"
    figure.suptitle(f"{title}; {result['paper']}")
    save_figure(figure, path)


def parallel_coordinates(
    settings: Sequence[tuple[str, str, str]],
    trials: Sequence[tuple[Sequence[float], float]],
    path: Path,
) -> None:
    """Draws every trial of a search as a line across its settings, coloured by its UA.

    Args:
        settings: (name, lowest value, highest value) of each.
        trials: (place of its value on each setting's axis, 0 to 1; UA) of each.
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
        wide = 2.5 if scores[number] == scores.max() else 1.0
        colour = colours.to_rgba(scores[number])
        axes.plot(trials[number][0], color=colour, linewidth=wide, marker="o", markersize=2 * wide)
    for place, (_, low, high) in enumerate(settings):
        axes.axvline(place, color="0.8", zorder=0)
        axes.annotate(low, (place, 0), (0, -12), textcoords="offset points", ha="center")
        axes.annotate(high, (place, 1), (0, 6), textcoords="offset points", ha="center")
    names = [name.rsplit(".", 1)[-1].replace("_", " ") for name, _, _ in settings]
    axes.set(ylim=(-0.12, 1.1), yticks=[], xticks=range(len(settings)))
    axes.set_xticklabels(names, rotation=20, ha="right")
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    figure.colorbar(colours, ax=axes, label="UA of validation speakers (%), widest: best")
    save_figure(figure, path)


def data_statistics(
    statistics: Mapping[str, Any], path: Path, earlier: Mapping[str, Any] | None = None
) -> None:
    """Draws how labels, speakers, durations, silence, clipping and features are distributed.

    Args:
        statistics: see `pipeline.statistics.job`.
        path: Path. `.svg` or `.png`.
        earlier: statistics of other data, drawn over them in black.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (12, 6.5))
    (labels, speakers, durations), (silence, clipping, features) = figure.subplots(2, 3)
    _shares(labels, statistics, earlier, "label")
    _shares(speakers, statistics, earlier, "speaker")
    _histogram(durations, statistics, earlier, "duration_s", 1)
    durations.set(xscale="log", xlabel="duration (s)")
    seconds = (0.1, 0.3, 1, 3, 10, 30, 100, 300)
    durations.set_xticks(seconds, [f"{each:g}" for each in seconds])
    _histogram(silence, statistics, earlier, "silence_ratio", 100)
    silence.set(xlabel="blocks 40 dB below the loudest (%)")
    _histogram(clipping, statistics, earlier, "clipping_ratio", 100)
    clipping.set(xlabel="samples at full scale (%)")
    clipping.set_xscale("symlog", linthresh=0.01)
    mean, std = (np.array(statistics["features"][name]) for name in ("mean", "std"))
    places = np.arange(len(mean))
    features.fill_between(places, mean - std, mean + std, color="0.8", label="deviation")
    features.plot(places, mean, color="0.4", label="mean")
    if earlier is not None:
        features.plot(places, earlier["features"]["mean"], "k--", label="mean, earlier data")
    features.set(xlabel="feature (number)", ylabel=f"value of {statistics['data']['spec_name']}")
    features.legend(fontsize="x-small")
    title = f"{statistics['data']['name']}: {statistics['utterances']} utterances"
    if earlier is not None:
        title += f"; black: {earlier['data']['name']}, {earlier['utterances']} utterances"
    figure.suptitle(title)
    save_figure(figure, path)


def graph(
    boxes: Mapping[str, tuple[tuple[float, float], str]],
    arrows: Sequence[tuple[Sequence[tuple[float, float]], str]],
    remarks: Mapping[str, str],
    title: str,
    path: Path,
) -> None:
    """Draws boxes in layers and arrows between them, in black on white.

    Args:
        boxes: mapping of name to ((x, layer), a second line). One unit of x is a box and its gap.
        arrows: (points from box to box, what goes along it); a dashed arrow where nothing does.
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
    for name, (point, about) in boxes.items():
        lines = [line for line in dict.fromkeys([name, about, remarks.get(name, "")]) if line]
        height[point] = 0.13 + 0.12 * len(lines)
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "black"}
        text, (x, y) = "\n".join(lines), point
        axes.text(x, -y, text, ha="center", va="center", bbox=box, zorder=3, fontsize=9)
    for points, label in arrows:
        _arrow(axes, points, label, height[points[0]] / 2, height[points[-1]] / 2)
    axes.set(xlim=(min(xs) - 0.6, max(xs) + 0.6), ylim=(-layers - 0.4, 0.4), title=title)
    axes.axis("off")
    save_figure(figure, path)


def _arrow(
    axes: Any, points: Sequence[tuple[float, float]], label: str, below: float, above: float
) -> None:
    """Draws one arrow through points, every piece downwards; labels its last piece.

    It begins `below` the first point and ends `above` the last.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    places = [(x, -y) for x, y in points]
    places[0] = (places[0][0], places[0][1] - below)
    places[-1] = (places[-1][0], places[-1][1] + above)
    vertices, codes = [places[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(places):
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
    (x0, y0), (x1, y1) = places[-2:]
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    axes.text((x0 + x1) / 2, (y0 + y1) / 2, label, fontsize=7, ha="center", va="center", bbox=box)


def _validation(axes: Any, folds: Sequence[Mapping[str, Any]]) -> None:
    """Draws validation UA over the epochs, with a dot at the epoch that was kept."""
    for fold, line in zip(folds, cycle(_LINES), strict=False):
        values = [100 * logs["valid_ua"] for logs in fold["history"]]
        axes.plot(range(1, len(values) + 1), values, line)
        axes.plot(fold["epoch"], values[fold["epoch"] - 1], "k.", zorder=3)
    axes.set(xlabel="epoch", ylabel="validation UA (%), dot: epoch kept")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _test(axes: Any, result: Mapping[str, Any]) -> None:
    """Draws the test UA of every fold after its fixed last epoch, beside chance."""
    folds = result["folds"]
    axes.bar([fold["fold"] for fold in folds], [100 * fold["ua"] for fold in folds])
    axes.axhline(100 / len(result["class_set"]["classes"]), color="black", linestyle="--")
    axes.tick_params(axis="x", rotation=45)
    axes.set(
        xlabel="fold",
        ylabel="test UA (%), dashed: chance",
        title=f"after epoch {folds[0]['epoch']}",
    )


def _shares(
    axes: Any, statistics: Mapping[str, Any], earlier: Mapping[str, Any] | None, column: str
) -> None:
    """Draws the share of utterances of each value of a column, most frequent first."""
    counts = statistics["counts"][column]
    before = earlier["counts"][column] if earlier is not None else {}
    names = sorted({*counts, *before}, key=lambda name: (-counts.get(name, 0), name))
    places = range(len(names))
    whole = statistics["utterances"]
    axes.bar(places, [100 * counts.get(name, 0) / whole for name in names], color="0.7")
    if earlier is not None:
        shares = [100 * before.get(name, 0) / earlier["utterances"] for name in names]
        axes.plot(places, shares, "k_", markersize=10)
    step = 1 + len(names) // 25
    axes.set_xticks(places[::step], names[::step], rotation=60, ha="right", fontsize="x-small")
    axes.set(xlabel=column, ylabel="utterances (%)")


def _histogram(
    axes: Any,
    statistics: Mapping[str, Any],
    earlier: Mapping[str, Any] | None,
    name: str,
    scale: float,
) -> None:
    """Draws the share of utterances per bin, and says so where nothing was measured."""
    axes.set(ylabel="utterances (%)")
    found = statistics[name]
    if found is None:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        return
    edges = scale * np.array(found["edges"])
    shares = 100 * np.array(found["counts"]) / max(1, found["count"])
    axes.stairs(shares, edges, fill=True, color="0.7")
    before = earlier[name] if earlier is not None else None
    if before is not None:
        axes.stairs(100 * np.array(before["counts"]) / max(1, before["count"]), edges, color="k")
    used = np.flatnonzero(shares if before is None else shares + np.array(before["counts"]))
    axes.set_xlim(edges[max(0, used[0] - 2)], edges[min(len(edges) - 1, used[-1] + 3)])
