"""Pictures of results. The only module that imports matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.errors import ConfigError


def learning_curves(result: Mapping[str, Any], path: Path) -> None:
    """Draws the training loss of every fold over the epochs, and how well it then did.

    Where validation speakers chose the epoch that is their UA over the epochs, otherwise the UA of
    the test part after the last epoch.

    Args:
        result: a cross-validation result, see `training.crossval.summarize_run`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = _figure(path, (9, 3.5))
    left, right = figure.subplots(1, 2)
    for fold in result["folds"]:
        epochs = range(1, len(fold["history"]) + 1)
        left.plot(epochs, [logs["loss"] for logs in fold["history"]], label=fold["fold"])
    left.set(xlabel="epoch", ylabel="training loss (nats)", yscale="log")
    left.legend(title="fold", fontsize="x-small", ncols=2)
    if result["epoch_chosen_by"] == "validation":
        _validation(right, result["folds"])
    else:
        _test(right, result)
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    _save(figure, path)


def similarity(result: Mapping[str, Any], path: Path) -> None:
    """Draws how alike emotions are in what a predictive VRNN sampled of them (its Fig. 2).

    Args:
        result: see `training.sampled.sampled_by_emotion`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = _figure(path, (10, 4.5))
    names = result["classes"]
    tables = {"first window counted": "with_first_window", "not counted": "without_first_window"}
    for axes, (title, key) in zip(figure.subplots(1, 2), tables.items(), strict=True):
        values = np.array(result[key]["similarity"], dtype=float)
        image = axes.imshow(values, cmap="cividis", vmax=1.0)
        axes.set(title=title, xticks=range(len(names)), yticks=range(len(names)))
        axes.set_xticklabels(names, rotation=45, ha="right")
        axes.set_yticklabels(names)
        figure.colorbar(image, ax=axes, label="cosine of mean W", shrink=0.8)
    figure.suptitle(f"What {result['model']} sampled of {result['dataset']}, {result['spec']}")
    _save(figure, path)


def label_curve(result: Mapping[str, Any], path: Path) -> None:
    """Draws UA against the share of labels, with and without the speech that has none.

    Args:
        result: see `training.label_curve.run_label_curve`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = _figure(path, (6, 4))
    axes = figure.subplots()
    for kind in sorted({point["unlabelled"] for point in result["points"]}):
        points = [point for point in result["points"] if point["unlabelled"] == kind]
        shares = [100 * point["fraction"] for point in points]
        values = 100 * np.array([[point["ua"], *point["ua_interval"]] for point in points])
        (line,) = axes.plot(shares, values[:, 0], "o-", label=kind)
        axes.fill_between(shares, values[:, 1], values[:, 2], color=line.get_color(), alpha=0.15)
    chance = 100 / len(result["class_set"]["classes"])
    axes.axhline(chance, color="black", linestyle="--")
    axes.set(xscale="log", xlabel="training utterances with a label (%)")
    axes.set_ylabel("test UA (%), band: 95 % over speakers, dashed: chance")
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.minorticks_off()
    axes.legend()
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    _save(figure, path)


def study(result: Mapping[str, Any], path: Path) -> None:
    """Draws UA and every class's recall against the values of a study, a panel per line of it.

    Args:
        result: see `tuning.study.run_study`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    lines = result["lines"]
    figure = _figure(path, (6 * len(lines), 4.5))
    for axes, line in zip(figure.subplots(1, len(lines), squeeze=False)[0], lines, strict=True):
        places = range(len(line["points"]))
        for name, mark in zip(result["class_set"]["classes"], "ovs^D<P>X*", strict=False):
            found = [point["recalls"][name] for point in line["points"]]
            recalls = [np.nan if value is None else 100 * value for value in found]
            axes.plot(places, recalls, mark, linestyle=":", markersize=4, label=name)
        uas = [100 * point["ua"] for point in line["points"]]
        axes.plot(places, uas, "k-", linewidth=2, label="UA")
        axes.set_xticks(places, [f"{point['value']:g}" for point in line["points"]])
        axes.set(xlabel=f"{line['about']} ({line['unit']})", ylabel="validation recall (%)")
        axes.set_ylim(-3, 103)
    axes.legend(bbox_to_anchor=(1.02, 1.0), loc="upper left")
    figure.suptitle(f"{result['model']} on {result['dataset']}; {result['paper']}")
    _save(figure, path)


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
    figure = _figure(path, (max(6.0, 1.6 * len(settings)), 4.5))
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
    _save(figure, path)


def _figure(path: Path, size: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}: pictures need matplotlib. Install it with: pip install 'ser-keras[plot]'"
        ) from error
    return Figure(figsize=size, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    """Writes the picture without date or random ids: one result gives one file, byte for byte."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "ser_keras"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _validation(axes: Any, folds: Sequence[Mapping[str, Any]]) -> None:
    """Draws validation UA over the epochs, with a dot at the epoch that was kept."""
    for fold in folds:
        values = [100 * logs["valid_ua"] for logs in fold["history"]]
        axes.plot(range(1, len(values) + 1), values)
        axes.plot(fold["epoch"], values[fold["epoch"] - 1], "k.", zorder=3)
    axes.set(xlabel="epoch", ylabel="validation UA (%), dot: epoch kept")


def _test(axes: Any, result: Mapping[str, Any]) -> None:
    """Draws the test UA of every fold after its fixed last epoch, beside chance."""
    folds = result["folds"]
    axes.bar([fold["fold"] for fold in folds], [100 * fold["ua"] for fold in folds])
    axes.axhline(100 / len(result["class_set"]["classes"]), color="black", linestyle="--")
    axes.tick_params(axis="x", rotation=45)
    axes.set(ylabel="test UA (%), dashed: chance", title=f"after epoch {folds[0]['epoch']}")
