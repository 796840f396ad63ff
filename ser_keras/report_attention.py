"""What attention did over a corpus -> tables and sentences for the terminal."""

from collections.abc import Mapping
from typing import Any

COUNTED = {
    "with_first_window": "first window counted",
    "without_first_window": "first window not counted",
}


def describe_sampled(result: Mapping[str, Any]) -> str:
    """Returns what a predictive VRNN sampled, beside what its paper prints.

    Args:
        result: see `ser_keras.training.sampled.sampled_by_emotion`.

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
        cells = [_percent(shares.get(name)) for shares in columns.values()]
        lines.append(f"| {' | '.join([name, *cells])} |")
    sentences = [
        f"{title[0].upper()}{title[1:]}: {_verdict(claim)}."
        for key, title in COUNTED.items()
        for claim in result[key].get("claims", ())
    ]
    return "\n".join([*lines, *([""] if sentences else []), *sentences])


def _shares(table: Mapping[str, Any]) -> dict[str, float | None]:
    return {**table["share"], "mean": table["mean_share"]}


def _verdict(claim: Mapping[str, Any]) -> str:
    text = f'the paper\'s "{claim["claim"]}"'
    return f"{text} holds" if claim["holds"] else f"{text} does not hold; here {claim['ours']}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"
