"""UA over seconds of enrolment, beside the blind answer on the same speech."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ser_keras.plots.picture import bar_ends, open_figure, save_figure

# In `ser enrolment-curve`: enrolments of each emotion alone, added up.
ANY_ONE = "any one"


def enrolment_curve(result: Mapping[str, Any], path: Path) -> None:
    """Draws UA by enrolled seconds, blind and adapted, and the difference between them.

    Enrolments of one emotion stand right of the curve, each by its name.

    Args:
        result: see `ser_keras.experiments.enrolment.enrolment_curve`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = open_figure(path, (10, 4))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    amounts = [row for row in result["enrolments"] if not row["emotion"]]
    emotions = [row for row in result["enrolments"] if row["emotion"]]
    _draw_amounts(left, amounts)
    left.axhline(100 / len(result["class_set"]["classes"]), color="0.6", linestyle="--")
    _draw_differences(right, [*amounts, *emotions])
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    save_figure(figure, path)


def enrolled_in_words(row: Mapping[str, Any]) -> str:
    """Returns what was enrolled of each speaker, such as "15 s, only angry"."""
    amount = "everything" if row["seconds"] is None else f"{row['seconds']:g} s"
    if not (emotion := row["emotion"]):
        return amount
    return f"{amount} of {emotion} emotion" if emotion == ANY_ONE else f"{amount}, only {emotion}"


def _draw_amounts(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    seconds = [row["enrolled_s"] for row in rows]
    for name, prefix, line in (("adapted", "", "o-"), ("blind, same speech", "blind_", "s:")):
        values = [100 * row[f"{prefix}ua"] for row in rows]
        ends = [
            [100 * end for end in bar_ends(row[f"{prefix}ua"], row[f"{prefix}ua_interval"])]
            for row in rows
        ]
        [drawn] = axes.plot(seconds, values, line, label=name)
        low, high = zip(*ends, strict=True)
        axes.fill_between(seconds, low, high, color=drawn.get_color(), alpha=0.15)
    axes.set_xscale("log")
    axes.set_xticks(seconds, [f"{value:.0f}" for value in seconds])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="enrolled speech of a speaker (s), mean", ylabel="UA (%), dashed: chance")
    axes.legend(loc="lower right")


def _draw_differences(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    heights = list(range(len(rows)))[::-1]
    values = [
        [100 * end for end in (value, *bar_ends(value, ends))]
        for value, *ends in (row["difference"] for row in rows)
    ]
    axes.hlines(heights, [v[1] for v in values], [v[2] for v in values], color="grey")
    axes.plot([v[0] for v in values], heights, "ko")
    axes.axvline(0, color="black", linestyle="--")
    axes.set_yticks(heights, list(map(enrolled_in_words, rows)))
    axes.set(xlabel="UA above blind (points), 95 % over speakers")
