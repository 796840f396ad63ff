"""One line about a model that answers: what it has heard, and how good it is on new voices."""

from collections.abc import Mapping
from typing import Any

from ser_keras.corpora import corpus_facts

SYNTHETIC = "synthetic"


def introduction(about: Mapping[str, Any]) -> str:
    """Returns a sentence or two about a model, for people who have not read its card.

    Args:
        about: the description of an export, see `serving.export.export.describe`.

    Example:
        >>> about = {"name": "demo", "corpus": "synthetic", "classes": ["angry", "sad"]}
        >>> introduction(about)
        'Model demo knows synthetic sounds only; what it says about people means nothing.'
    """
    name = about["name"]
    if about["corpus"] == SYNTHETIC:
        return f"Model {name} knows synthetic sounds only; what it says about people means nothing."
    chance = f"guessing gets {100 / len(about['classes']):.0f} %"
    if worth := about.get("worth"):
        shares = [100 * corpus["blind"]["ua"] for corpus in worth["new_corpora"]]
        return (
            f"Model {name} has heard {worth['data']}. Of voices, languages and rooms that are new "
            f"to it, it names {min(shares):.0f} to {max(shares):.0f} % right; {chance}."
        )
    data = f"Model {name} has heard {about['sizes']['train']} recordings of {_title(about)}."
    scores = about.get("track_scores") or {}
    share = scores.get("blind", about["fold_scores"])["ua"]
    speakers = "voices that it knows" if about["shares_speakers"] else "voices that are new to it"
    if share is None:
        return f"{data} It was not tested."
    return f"{data} Of {speakers}, it names {100 * share:.0f} % right; {chance}."


def _title(about: Mapping[str, Any]) -> str:
    title = corpus_facts(about["corpus"]).title
    return title if about["dataset"] == about["corpus"] else f"{about['dataset']} ({title})"
