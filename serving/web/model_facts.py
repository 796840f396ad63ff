"""The facts about a model that the page shows: its data, scores and limits."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_keras.corpora import corpus_facts
from ser_keras.files import read_json
from serving.explain.introduction import introduction
from serving.web.local_server import Published

WARNING = """\
A machine guesses here, and it can be wrong. It knows only its own emotions, and finds them even in
music and unknown languages. A voice does not always show what a person feels: do not judge
people by it."""


def facts(name: str, export: Published | None) -> str:
    """Returns HTML that tells a model's training data and how often it is right.

    Args:
        name: name of the model on the server.
        export: its files; None if they are not on this machine.
    """
    about = description(export)
    if about is None:
        return _paragraph(
            "The training data of **{}** are unknown here. Ask the operator of the server, or "
            "start the page with --export and the folder that ser export printed.",
            name,
        )
    classes = ", ".join(map(str, about["classes"]))
    if worth := about.get("worth"):
        return _paragraph(
            "{} Its emotions are {}. Licence: {}.", introduction(about), classes, worth["licence"]
        )
    corpus = corpus_facts(about["corpus"])
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
    return _paragraph(
        "**{}** was trained on **{}** ({}), {} recordings, and knows {}. In its test it "
        f"recognised {100 * blind['ua']:.0f} % of the recordings of {speakers}, as a mean over "
        f"these emotions; guessing gets {chance:.0f} %.{adapted} Licence of the data: {{}}",
        *(name, corpus.title, about["dataset"], about["sizes"]["train"], classes, corpus.licence),
    )


def _paragraph(template: str, *values: object) -> str:
    """Returns a paragraph of HTML in which two asterisks set off names, and values are text.

    Example:
        >>> _paragraph("**{}** is new.", "<b>")
        '<p><strong>&lt;b&gt;</strong> is new.</p>'
    """
    marked = re.sub(r"\*\*(.*?)\*\*", r"<strong>\1</strong>", template)
    return f"<p>{marked.format(*(html.escape(str(value)) for value in values))}</p>"


def card(export: Published | None) -> str:
    """Returns the model card as HTML with lower headings; empty if there is no card.

    A stranger wrote it: of Markdown it has headings, lists and tables, and neither HTML nor links
    nor pictures, which would be fetched from elsewhere.
    """
    path = _extra(export, "model_card.md")
    if path is None:
        return ""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable(["image", "link", "autolink", "reference", "html_block", "html_inline"])
    text = path.read_text(encoding="utf-8", errors="replace")
    lower: str = markdown.render(re.sub("^#", "###", text, flags=re.MULTILINE))
    return lower


def description(export: Published | None) -> Mapping[str, Any] | None:
    """Returns the description of a model by `ser export`; None if there is none.

    Raises:
        SchemaError: it is damaged.
    """
    path = _extra(export, "model.json")
    if path is None:
        return None
    about: dict[str, Any] = read_json(
        path,
        "the description of an export",
        "Export the model with ser export.",
        keys=("classes", "corpus", "dataset", "sizes", "fold_scores", "shares_speakers"),
    )
    return about


def _extra(export: Published | None, name: str) -> Path | None:
    path = export.newest / "assets.extra" / name if export is not None else None
    return path if path is not None and path.is_file() else None
