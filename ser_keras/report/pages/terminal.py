"""The table of all results for a terminal: one small table for each data, protocol and track."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ser_keras.metrics import RANGE_OF_TWO
from ser_keras.report.baselines import difference_in_words, track_of
from ser_keras.report.percent import interval, percent
from ser_keras.report.results_folder import Results
from ser_keras.report.seeds import Row, rows_of
from ser_keras.report.variants import further_sets, settings_in_words, speakers_tested

HEAD = ("model, settings", "UA", "95 % over speakers", "above baseline")


@dataclass(frozen=True)
class Section:
    """What was measured on the same speakers and track.

    Args:
        title: str. Data, protocol and track.
        rows: cells under `HEAD`, the highest UA first; below them baseline and chance.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]


def sections_of(results: Results) -> list[Section]:
    """Returns the cross-validations of a folder, see `read_results`."""
    return sections(results["cross-validation"].values(), list(results["baseline"].values()))


def sections(
    results: Iterable[Mapping[str, Any]], baselines: Iterable[Mapping[str, Any]] = ()
) -> list[Section]:
    """Returns results by data, protocol and track, each beside the baseline of its folds.

    Args:
        results: cross-validations.
        baselines: results of `ser baseline`.
    """
    baselines = list(baselines)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows_of(results):
        result = row.first
        folds = result["protocol"]["sha256"]
        groups.setdefault((result["dataset"], folds, track_of(result)), []).append(row)
    return [_section(rows, baselines) for rows in groups.values()]


def _section(rows: list[Row], baselines: list[Mapping[str, Any]]) -> Section:
    rows = sorted(rows, key=lambda row: -row.ua)
    # Of the most folds, for the baseline below all; every row is compared on its own folds.
    whole = max(rows, key=lambda row: row.first["protocol"]["folds_run"])
    result, baseline = whole.first, whole.baseline(baselines)
    classes, protocol = len(result["class_set"]["classes"]), result["protocol"]
    name = protocol["name"] + ", speakers SHARED" * protocol["shares_speakers"]
    cells = [_cells(row, baselines) for row in rows]
    if baseline:
        ends = interval(baseline["ua_interval"], baseline["speakers"])
        about = f"baseline: {baseline['kernel']} SVM on {baseline['features']} features"
        cells.append((about, percent(baseline["ua"]), _broken(ends), ""))
    cells.append(("chance", percent(1 / classes), "", ""))
    title = f"{result['dataset']}, {classes} classes; {name}; {track_of(result)}"
    return Section(title, tuple(cells))


def _cells(row: Row, baselines: list[Mapping[str, Any]]) -> tuple[str, ...]:
    result = row.first
    return (
        _model(row),
        percent(row.ua),
        _broken(interval(row.ua_interval, speakers_tested(result))),
        _broken(difference_in_words(row.baseline(baselines))),
    )


def _model(row: Row) -> str:
    """Returns model, settings, further data, seeds and folds, as short as they are clear."""
    result, protocol = row.first, row.first["protocol"]
    words = [result["model"], settings_in_words(result)]
    if members := result.get("members"):
        words[1] = f"{len(members)} runs"
    if others := further_sets(result):
        # They are the last of the settings, or stand in the members.
        words[1] = words[1].replace(f", {', '.join(others)}", "")
        words.append(f"with {', '.join(sorted({other.split()[0] for other in others}))}")
    if len(row.results) > 1:
        words.append(f"{len(row.results)} seeds")
    if protocol["folds_run"] != protocol["folds"]:
        words.append(f"{protocol['folds_run']} of {protocol['folds']} folds")
    return ", ".join(words)


def _broken(interval_text: str) -> str:
    """Returns an interval with its remark on a line of its own."""
    return interval_text.replace(f", {RANGE_OF_TWO}", f",\n{RANGE_OF_TWO}")
