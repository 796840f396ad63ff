"""What people are told about a model before they believe it, from the files of its export."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_keras.corpora import get_corpus
from serving.web.local_server import Published

WARNING = """\
A machine guesses here, and it can be wrong. It knows no more than its emotions, and finds them in
silence, music and strange languages, too. What a voice shows is not what a person feels: do not
judge people by it."""


def facts(name: str, export: Published | None) -> str:
    """Returns as Markdown which data a model learnt from and how often it is right.

    Args:
        name: what the server calls the model.
        export: its files; None where they are not at hand.
    """
    about = described(export)
    if about is None:
        return (
            f"Nobody said here which data **{name}** was trained on. Ask who runs the server, or "
            "start the page with `--export` and the folder that `ser export` printed."
        )
    corpus = get_corpus(about["corpus"]).info
    whom = "speakers it knew from training" if about["shares_speakers"] else "speakers new to it"
    chance = 100 / len(about["classes"])
    return (
        f"**{name}** was trained on **{corpus.title}** (`{about['dataset']}`), "
        f"{about['sizes']['train']} recordings, and knows {', '.join(about['classes'])}. "
        f"In its test it recognised {100 * about['fold_scores']['ua']:.0f} % of the recordings of "
        f"{whom}, as a mean over these emotions; guessing gets {chance:.0f} %. "
        f"Licence of the data: {corpus.licence}"
    )


def card(export: Published | None) -> str:
    """Returns the model card as Markdown whose headings fit into a page; empty without one."""
    path = _extra(export, "model_card.md")
    if path is None:
        return ""
    return re.sub("^#", "###", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def described(export: Published | None) -> Mapping[str, Any] | None:
    """Returns what `ser export` wrote about a model, None if it wrote nothing."""
    path = _extra(export, "model.json")
    if path is None:
        return None
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return about


def _extra(export: Published | None, name: str) -> Path | None:
    path = export.newest / "assets.extra" / name if export is not None else None
    return path if path is not None and path.is_file() else None
