"""Statistics of attention over a corpus as tables and sentences for the terminal."""

from collections.abc import Mapping
from typing import Any

from ser_keras.report.percent import percent

ALL = "all"  # emotions together
COUNTED = {
    "with_first_window": "first window counted",
    "without_first_window": "first window not counted",
}


def describe_sampled(result: Mapping[str, Any]) -> str:
    """Returns the shares of the input that a predictive VRNN sampled, beside its paper's.

    Args:
        result: see `ser_keras.experiments.attention.sampled_by_emotion`.

    Returns:
        a Markdown table of the shares by emotion in percent and, for the paper's corpora, a
        sentence for each claim of the paper that says whether it holds.
    """
    names, published = [*result["classes"], "mean"], result["published"]
    columns = {title: _shares(result[key]) for key, title in COUNTED.items()}
    if published is not None:
        columns["paper"] = _shares(published)
    lines = [f"| emotion | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name in names:
        cells = [percent(shares.get(name), missing="") for shares in columns.values()]
        lines.append(f"| {' | '.join([name, *cells])} |")
    sentences = [
        f"{title[0].upper()}{title[1:]}: {_verdict(claim)}."
        for key, title in COUNTED.items()
        for claim in result[key].get("claims", ())
    ]
    return "\n".join([*lines, *([""] if sentences else []), *sentences])


def describe_attended(result: Mapping[str, Any]) -> str:
    """Returns which frames attention prefers, by emotion.

    Args:
        result: see `ser_keras.experiments.attention.attended_contours`.

    Returns:
        a Markdown table in standard deviations of an utterance's frames, bold where the 95 %
        interval over speakers leaves out 0, and a sentence about what was measured.
    """
    names = [ALL, *result["class_set"]["classes"]]
    lines = [f"| frames with more of | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for contour, by_class in result["contours"].items():
        cells = [contour, *(_preference(by_class[name]) for name in names)]
        lines.append(f"| {' | '.join(cells)} |")
    about = (
        f"`{result['model']}` on {result['dataset']}, `{result['protocol']['name']}`, track "
        f"{result['track']}: {result['utterances']} test utterances of {result['speakers']} "
        "speakers. Standard deviations that attended frames lie above all frames of their "
        "utterance; bold where the 95 % interval over speakers leaves out 0."
    )
    return "\n".join([*lines, "", about])


def _preference(summary: Mapping[str, Any]) -> str:
    if summary["mean"] is None:
        return "–"
    low, high = summary["interval"] or (0, 0)
    text = f"{summary['mean']:+.2f}"
    return f"**{text}**" if low > 0 or high < 0 else text


def describe_attention_statistics(result: Mapping[str, Any]) -> str:
    """Returns the numbers of MOMA's maps over a corpus, and which of its claims hold.

    Args:
        result: see `ser_keras.experiments.attention.attention_statistics`.

    Returns:
        a Markdown table of entropy and total variation by map, one of correlations, and a sentence
        for each claim of the paper that says whether it holds.
    """
    lines = ["| map | entropy (1: all frames alike) | total variation (0: all frames alike) |"]
    lines += ["|---|---|---|"]
    for name, summary in result["maps"].items():
        cells = [name, _with_interval(summary["entropy"])]
        cells.append(_with_interval(summary["total_variation"]))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| maps | correlation over the frames |", "|---|---|"]
    lines += [
        f"| {name} | {_with_interval(summary)} |"
        for name, summary in result["correlations"].items()
    ]
    speakers = "1 speaker" if result["speakers"] == 1 else f"{result['speakers']} speakers"
    about = (
        f"Means over {result['utterances']} test utterances of {speakers}; in brackets the 95 % "
        f"interval over {result['intervals_over']}."
    )
    claims = [_claim_in_words(claim) for claim in result["claims"]]
    return "\n".join([*lines, "", about, *claims])


def describe_recording(statistics: Mapping[str, Any]) -> str:
    """Returns the numbers of one recording's maps in a line each.

    Args:
        statistics: see `ser_keras.models.attention.map_statistics.describe_maps`; may be empty.
    """
    lines = []
    for name, of_map in statistics.get("maps", {}).items():
        entropy, variation = _decimals(of_map["entropy"]), _decimals(of_map["total_variation"])
        divergence = "".join(
            f", divergence from the durations of {tier} {_decimals(value)}"
            for tier, value in of_map.get("divergence", {}).items()
        )
        lines.append(f"{name}: entropy {entropy}, variation {variation}{divergence}")
    pairs = [f"{name} {_decimals(r)}" for name, r in statistics.get("correlations", {}).items()]
    return "\n".join([*lines, *([f"correlations: {'; '.join(pairs)}"] if pairs else [])])


def _claim_in_words(claim: Mapping[str, Any]) -> str:
    verdict = {
        "holds": "holds",
        "does not hold": "does not hold",
        "open": "is neither shown nor refuted",
    }[claim["verdict"]]
    text = f"That {claim['claim']} ({claim['source']}) {verdict}: {claim['quantity']} is "
    remark = f" {claim['remark']}" if claim["remark"] else ""
    return f"{text}{_with_interval(claim)}.{remark}"


def _with_interval(summary: Mapping[str, Any]) -> str:
    if summary["interval"] is None:
        return _decimals(summary["mean"])
    low, high = map(_decimals, summary["interval"])
    return f"{_decimals(summary['mean'])} ({low} to {high})"


def _decimals(value: float | None) -> str:
    """Returns a value with three decimals, or with one digit where these were all zero."""
    if value is None:
        return "not defined"
    # Three decimals would show a smaller value as zero.
    return f"{value:.3f}" if value == 0 or abs(value) >= 5e-4 else f"{value:.0e}"


def _shares(table: Mapping[str, Any]) -> dict[str, float | None]:
    return {**table["share"], "mean": table["mean_share"]}


def _verdict(claim: Mapping[str, Any]) -> str:
    text = f'the paper\'s "{claim["claim"]}"'
    return f"{text} holds" if claim["holds"] else f"{text} does not hold; here {claim['ours']}"
