"""Where a model errs: each class and each speaker of the best row, beside the baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.report.baselines import TRACKS, baseline_of, track_of
from ser_keras.report.percent import percent
from ser_keras.report.results_folder import Results
from ser_keras.report.seeds import Row, best_rows, rows_of
from ser_keras.report.tables import markdown
from ser_keras.report.variants import is_complete

# Confusions below this share of a class are not named.
LEAST_SHARE = 0.05


def best_on_unseen_speakers(results: Results) -> dict[tuple[str, str], Row]:
    """Returns the complete row of the highest UA by data and track, on speakers that are unseen."""
    complete = filter(is_complete, results["cross-validation"].values())
    unseen = (result for result in complete if not result["protocol"]["shares_speakers"])
    rows = rows_of(result for result in unseen if "by_speaker" in result)
    return best_rows(rows, lambda result: (result["dataset"], track_of(result)))


def confusion_by_speaker(row: Row) -> dict[str, np.ndarray]:
    """Returns the utterances by true and predicted class, (K, K), of each speaker and all seeds."""
    return {
        speaker: np.sum([result["by_speaker"][speaker] for result in row.results], axis=0)
        for speaker in row.first["by_speaker"]
    }


def class_lines(row: Row, baseline: Mapping[str, Any] | None) -> list[list[str]]:
    """Returns for each class: its name, recall, the baseline's recall, what it is taken for."""
    classes = row.first["class_set"]["classes"]
    confusion = np.sum(list(confusion_by_speaker(row).values()), axis=0)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    lines = []
    for number, name in enumerate(classes):
        others = np.where(np.arange(len(classes)) == number, 0.0, shares[number])
        taken = int(others.argmax())
        named = others[taken] >= LEAST_SHARE
        other = f"{classes[taken]}, {percent(float(others[taken]))}" if named else ""
        known = "" if baseline is None else percent(baseline["pooled"]["recalls"].get(name))
        lines.append([name, percent(shares[number, number]), known, other])
    return lines


def speaker_line(row: Row) -> str:
    """Returns the speakers of the lowest and of the highest UA, and both numbers."""
    ua = {
        speaker: metrics.unweighted_accuracy_of(confusion)
        for speaker, confusion in confusion_by_speaker(row).items()
    }
    lowest, highest = min(ua, key=ua.__getitem__), max(ua, key=ua.__getitem__)
    return f"{lowest} {percent(ua[lowest])}, {highest} {percent(ua[highest])}"


def errors_tables(results: Results) -> str:
    """Returns a table of classes and one of speakers in Markdown; "" without a complete row.

    Args:
        results: see `read_results`.
    """
    baselines: Sequence[Mapping[str, Any]] = list(results["baseline"].values())
    best = best_on_unseen_speakers(results)
    if not best:
        return ""
    classes: list[list[str]] = []
    speakers: list[list[str]] = []
    for data in sorted({data for data, _ in best}):
        rows = [best.get((data, track)) for track in TRACKS]
        lines = [
            class_lines(row, baseline_of(baselines, row.first)) if row else None for row in rows
        ]
        names = next(row for row in rows if row).first["class_set"]["classes"]
        for number, name in enumerate(names):
            cells = [cell for track in lines for cell in (track[number][1:] if track else [""] * 3)]
            classes.append([data, name, *cells])
        models = [f"`{row.first['model']}`" if row else "" for row in rows]
        ends = [speaker_line(row) if row else "" for row in rows]
        speakers.append([data, *(cell for pair in zip(models, ends, strict=True) for cell in pair)])
    return f"{_class_table(classes)}\n\n{_speaker_table(speakers)}"


def _class_table(rows: list[list[str]]) -> str:
    head = ["data", "class"]
    for track in TRACKS:
        head += [f"{track}: recall", "baseline's", "most often taken for"]
    return markdown(head, rows)


def _speaker_table(rows: list[list[str]]) -> str:
    head = ["data"]
    for track in TRACKS:
        head += [f"{track}: model", "lowest and highest UA of a speaker"]
    return markdown(head, rows)
