"""Finds tested speakers who influenced the settings that a search chose."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ser_keras.audit.findings import Finding
from ser_keras.protocols import Fold


def audit_settings(
    tested: Iterable[Fold], searched: Sequence[Fold], rows: Iterable[Any]
) -> list[Finding]:
    """Returns which tested speakers influenced the settings, by fold.

    Speakers of the validation parts decided the choice, and a score on them is no test: `fail`.
    Speakers of the training parts trained models that others decided about: `warn`.

    Args:
        tested: folds whose test parts are to be scored with the settings.
        searched: folds that the search chose them on.
        rows: objects with `key`, `speaker` and `corpus`.
    """
    speaker_of = {row.key: (row.corpus, row.speaker) for row in rows}
    judges = _speakers((key for fold in searched for key in fold.valid), speaker_of)
    trained = _speakers((key for fold in searched for key in fold.train), speaker_of)
    return [
        finding
        for fold in tested
        for finding in _of_fold(fold.name, _speakers(fold.test, speaker_of), judges, trained)
    ]


def _of_fold(fold: str, tested: set[Any], judges: set[Any], trained: set[Any]) -> Iterator[Finding]:
    if judged := tested & judges:
        yield Finding(
            "settings",
            "fail",
            f"fold {fold} tests {_named(judged)}, on whom a search chose the settings. Test other "
            "folds, such as those of the search itself with --fold, or search again on one fold.",
        )
    elif in_trials := tested & trained:
        yield Finding(
            "settings",
            "warn",
            f"fold {fold} tests {_named(in_trials)}, who trained in trials of the search that "
            "chose the settings. They judged none; only a search on this fold alone is without "
            "them.",
        )


def _speakers(keys: Iterable[str], speaker_of: Mapping[str, Any]) -> set[Any]:
    return {speaker_of[key] for key in keys if key in speaker_of}


def _named(speakers: set[Any]) -> str:
    names = sorted(speaker for _, speaker in speakers)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    noun = "speaker" if len(names) == 1 else "speakers"
    return f"{len(names)} {noun} ({', '.join(names[:4])}{more})"
