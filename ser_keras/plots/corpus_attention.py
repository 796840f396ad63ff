"""Pictures of attention over a corpus: sampled shares, statistics of maps, attended frames."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.plots.picture import open_figure, save_figure

COUNTED = {
    "first window counted": "with_first_window",
    "first window not counted": "without_first_window",
}


def sampled_input(result: Mapping[str, Any], path: Path) -> None:
    """Draws the shares of the input that a predictive VRNN sampled by emotion, beside its paper's.

    Baruah and Banerjee 2022: the sampled shares of Table 2 with the printed ones beside ours, and
    the similarity of emotions in what is sampled of them (Fig. 2), with and without the first
    window.

    Args:
        result: see `experiments.attention.sampled_by_emotion`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (14, 4.5))
    left, *similarities = figure.subplots(1, 3)
    _draw_shares(left, result)
    names = result["classes"]
    for axes, (title, key) in zip(similarities, COUNTED.items(), strict=True):
        values = np.array(result[key]["similarity"], dtype=float)
        image = axes.imshow(values, cmap="cividis", vmax=1.0)
        axes.set_title(_with_verdict(title, result[key]), fontsize="medium")
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        figure.colorbar(image, ax=axes, label="cosine of mean W", shrink=0.8)
    figure.suptitle(f"What {result['model']} sampled of {result['dataset']}, {result['spec']}")
    save_figure(figure, path)


def _draw_shares(axes: Any, result: Mapping[str, Any]) -> None:
    tables = {title: result[key] for title, key in COUNTED.items()}
    if result["published"] is not None:
        tables["printed in the paper"] = result["published"]
    names = [*result["classes"], "mean"]
    height = 0.8 / len(tables)
    for number, (title, table) in enumerate(tables.items()):
        shares = {**table["share"], "mean": table["mean_share"]}
        values = [np.nan if shares.get(name) is None else 100 * shares[name] for name in names]
        style = {"color": ("0.25", "0.65", "white")[number], "edgecolor": "black"}
        positions = np.arange(len(names)) + (number - (len(tables) - 1) / 2) * height
        axes.barh(positions, values, height, label=title, **style)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="sampled share of the input (%)", xlim=(0, 100))
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 1.24))


def _with_verdict(title: str, table: Mapping[str, Any]) -> str:
    """Returns the title with whether the paper's claim about the similarities holds."""
    claims = [claim for claim in table.get("claims", ()) if "similar" in claim["claim"]]
    lines = [
        f"the paper's order {'holds' if claim['holds'] else 'does not hold'}:\n{claim['ours']}"
        for claim in claims
    ]
    return "\n".join([title, *lines])


def attended_frames(result: Mapping[str, Any], path: Path) -> None:
    """Draws which frames attention prefers, by prosodic value and emotion.

    Args:
        result: see `experiments.attention.attended_contours`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    contours = result["contours"]
    names = ["all", *result["class_set"]["classes"]]
    means = [[by_class[name]["mean"] for name in names] for by_class in contours.values()]
    values = np.array(means, dtype=float)
    figure = open_figure(path, (9, 4.5))
    axes = figure.subplots()
    largest = np.nanmax(np.abs(values))
    image = axes.imshow(values, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            color = "white" if abs(value) > 0.7 * largest else "black"
            axes.text(column, row, f"{value:+.2f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(contours)), list(contours))
    figure.colorbar(image, ax=axes, label="attended frames above all frames (deviations)")
    figure.suptitle(
        f"What {result['model']} attended to on {result['dataset']}, track {result['track']}"
    )
    save_figure(figure, path)


def map_statistics(result: Mapping[str, Any], path: Path) -> None:
    """Draws entropy, total variation and correlations of MOMA's maps over a corpus.

    A dot is the mean over utterances, the thick bar its 95 % interval, the thin bar reaches from
    the lower to the upper quartile of the utterances.

    Args:
        result: see `experiments.attention.attention_statistics`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    maps = result["maps"]
    entropy = {name: of_map["entropy"] for name, of_map in maps.items()}
    variation = {name: of_map["total_variation"] for name, of_map in maps.items()}
    panels = (
        ("entropy\n(1: all frames alike)", entropy),
        ("total variation\n(0: all frames alike)", variation),
        ("correlation\nover the frames", result["correlations"]),
    )
    figure = open_figure(path, (12, 4.2))
    for axes, (label, summaries) in zip(figure.subplots(1, 3), panels, strict=True):
        for row, summary in enumerate(summaries.values()):
            if summary["mean"] is None:
                continue
            lower, _, upper = summary["quartiles"]
            axes.hlines(row, lower, upper, color="0.6", linewidth=1.5)
            if summary["interval"] is not None:
                axes.hlines(row, *summary["interval"], color="black", linewidth=4)
            axes.plot(summary["mean"], row, "o", color="black", markersize=6)
        axes.set_yticks(range(len(summaries)), list(summaries))
        axes.set(xlabel=label, ylim=(len(summaries) - 0.5, -0.5))
        axes.grid(axis="x", color="0.9")
        axes.xaxis.get_major_locator().set_params(nbins=5)
    axes.axvline(0, color="0.4", linewidth=0.8)
    claims = [f"{claim['claim']}: {claim['verdict']}" for claim in result["claims"]]
    title = (
        f"Attention of {result['model']} on {result['dataset']}: {result['utterances']} utterances "
        f"by {result['speakers']} speakers"
    )
    lines = [title, "; ".join(claims[:2]), "; ".join(claims[2:])]
    figure.suptitle("\n".join(lines), fontsize="medium")
    bars = f"thick: 95 % interval over {result['intervals_over']}; thin: quartiles of utterances"
    figure.supxlabel(f"dot: mean; {bars}", fontsize="small")
    save_figure(figure, path)
