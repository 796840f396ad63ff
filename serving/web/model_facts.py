"""The facts about a model that the page shows: its data, scores and limits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_keras.corpora import get_corpus
from ser_keras.files import parse_json
from serving.explain.introduction import introduction
from serving.web.local_server import Published

WARNING = """\
A machine guesses here, and it can be wrong. It knows only its own emotions, and finds them even in
music and unknown languages. A voice does not always show what a person feels: do not judge
people by it."""


def facts(name: str, export: Published | None) -> str:
    """Returns Markdown that tells a model's training data and how often it is right.

    Args:
        name: name of the model on the server.
        export: its files; None if they are not on this machine.
    """
    about = description(export)
    if about is None:
        return (
            f"The training data of **{name}** are unknown here. Ask the operator of the server, or "
            "start the page with `--export` and the folder that `ser export` printed."
        )
    if worth := about.get("worth"):
        return (
            f"{introduction(about)} Its emotions are {', '.join(about['classes'])}. "
            f"Licence: {worth['licence']}."
        )
    corpus = get_corpus(about["corpus"]).info
    speakers = "speakers of its training" if about["shares_speakers"] else "speakers new to it"
    chance = 100 / len(about["classes"])
    by_track = about.get("track_scores") or {}
    # A recording on this page is answered without enrolment.
    blind = by_track.get("blind", about["fold_scores"])
    adapted = (
        f" It recognised {100 * by_track['adapted']['ua']:.0f} % where it also knew other "
        "recordings of the speaker, without their emotions; this page gives it none."
        if "adapted" in by_track
        else ""
    )
    return (
        f"**{name}** was trained on **{corpus.title}** (`{about['dataset']}`), "
        f"{about['sizes']['train']} recordings, and knows {', '.join(about['classes'])}. "
        f"In its test it recognised {100 * blind['ua']:.0f} % of the recordings of "
        f"{speakers}, as a mean over these emotions; guessing gets {chance:.0f} %.{adapted} "
        f"Licence of the data: {corpus.licence}"
    )


def card(export: Published | None) -> str:
    """Returns the model card as Markdown with lower headings; empty if there is no card."""
    path = _extra(export, "model_card.md")
    if path is None:
        return ""
    return re.sub("^#", "###", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def description(export: Published | None) -> Mapping[str, Any] | None:
    """Returns the description of a model by `ser export`; None if there is none."""
    path = _extra(export, "model.json")
    if path is None:
        return None
    about: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    return about


def _extra(export: Published | None, name: str) -> Path | None:
    path = export.newest / "assets.extra" / name if export is not None else None
    return path if path is not None and path.is_file() else None
