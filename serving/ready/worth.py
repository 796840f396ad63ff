"""What a model that was trained on everyone is worth, by runs that held people out.

Plain values, in `model.json` as "worth"::

    data          what it has heard, in words
    licence       of that data and so of the model, in words
    new_corpora   for each corpus the scores of models that were trained on the other corpora
    new_speakers  for each corpus the scores of models that were trained without these speakers
    conditions    UA by condition of the recordings, mean over corpora, of the first models

A row of scores has "corpus", "title", "speakers", "recordings" and for each track "ua",
"ua_interval", "female" and "male".
"""

from collections.abc import Mapping, Sequence
from typing import Any

TRACKS = ("blind", "adapted")
TABLES = {
    "new_corpora": "Corpora, languages, voices and rooms that it has never met (models trained on "
    "the other corpora):",
    "new_speakers": "New voices of corpora that it knows (models trained without these speakers):",
}


def check_worth(worth: Mapping[str, Any]) -> None:
    """Raises KeyError or TypeError where something is missing."""
    worth_tables(worth)
    str(worth["data"])
    str(worth["licence"])


def worth_tables(worth: Mapping[str, Any]) -> str:
    """Returns the tables of a model card, as Markdown. UA in percent, 95 % over speakers."""
    parts = []
    for name, title in TABLES.items():
        parts.append(f"{title}\n\n{_scores(worth[name])}")
    parts.append(
        "The same on degraded copies of the recordings, corpora that it has never met, mean UA:"
        f"\n\n{_conditions(worth['conditions'])}"
    )
    parts.append(
        "*Blind*: nothing is known of a speaker. *Adapted*: the speaker's own recordings are "
        "known, without labels."
    )
    return "\n\n".join(parts)


def _scores(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| corpus | speakers | recordings | track | UA | 95 % | women | men |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for track in TRACKS:
            scores = row[track]
            low, high = map(_percent, scores["ua_interval"])
            lines.append(
                f"| {row['title']} | {row['speakers']} | {row['recordings']} | {track} "
                f"| {_percent(scores['ua'])} | {low} – {high} | {_percent(scores.get('female'))} "
                f"| {_percent(scores.get('male'))} |"
            )
    return "\n".join(lines)


def _conditions(rows: Sequence[Mapping[str, Any]]) -> str:
    names = " | ".join(row["condition"] for row in rows)
    lines = [f"| track | {names} |", "|---|" + "---|" * len(rows)]
    for track in TRACKS:
        lines.append(f"| {track} | " + " | ".join(_percent(row[track]) for row in rows) + " |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
