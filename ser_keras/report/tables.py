"""Markdown tables of cross-validations, baselines, searches and studies; scores in percent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ser_keras.plots.enrolment import enrolled_in_words
from ser_keras.report.baselines import (
    TRACKS,
    baseline_of,
    difference_in_words,
    inner_ua,
    track_of,
)
from ser_keras.report.percent import interval, percent, points_with_interval, ua_with_interval
from ser_keras.report.results_folder import Results
from ser_keras.report.seeds import Row, best_rows, rows_of
from ser_keras.report.variants import (
    SETTINGS,
    for_one_track_alone,
    further_sets,
    is_complete,
    on_frames_alone,
    settings_in_words,
    speakers_tested,
)


def table(results: Iterable[Mapping[str, Any]], baselines: Sequence[Mapping[str, Any]] = ()) -> str:
    """Returns the table of cross-validations, each beside its baseline.

    A row is one recipe on one track. WA and UA are pooled over all test utterances and then the
    mean over seeds; the intervals are the 95 % ones of resampling speakers.

    Args:
        results: cross-validations.
        baselines: results of `ser baseline`.
    """
    head = (
        *("data", "protocol", "model", "settings", "track", "seeds", "UA", "95 % over speakers"),
        *("WA", "baseline UA, same folds", "UA above it (95 % over speakers)", "chance"),
        *("CPU minutes per fold", "epoch chosen by", "parameters"),
    )
    return markdown(head, [_row(row, baselines) for row in rows_of(results)])


def table_of(results: Results) -> str:
    """Returns the table of all cross-validations of a folder, see `read_results`."""
    return table(results["cross-validation"].values(), list(results["baseline"].values()))


def _row(row: Row, baselines: Iterable[Mapping[str, Any]]) -> list[str]:
    result = row.first
    protocol = result["protocol"]
    partial = _folds_in_words(protocol["folds_run"], protocol)
    baseline = row.baseline(baselines)
    return [
        _data(result),
        _protocol(protocol, partial),
        f"`{result['model']}`",
        settings_in_words(result) + _best_member(result),
        track_of(result),
        str(len(row.results)),
        f"**{percent(row.ua)}**",
        interval(row.ua_interval, speakers_tested(result)),
        percent(row.wa),
        "" if baseline is None else percent(baseline["ua"]),
        difference_in_words(baseline),
        percent(1 / len(result["class_set"]["classes"])),
        _minutes(row),
        {"validation": "validation part", "last": "fixed in advance"}[result["epoch_chosen_by"]],
        f"{result['cost']['parameters'] / 1e6:.2f} M",
    ]


def _best_member(result: Mapping[str, Any]) -> str:
    """Returns the member of an ensemble with the highest test UA; "" for a single system."""
    if "best_member" not in result:
        return ""
    best = result["best_member"]
    above = points_with_interval(best["ensemble_above"], speakers_tested(result))
    return f"; best member `{best['name']}` {percent(best['ua'])}, ensemble {above}"


def _minutes(row: Row) -> str:
    """Returns CPU minutes per fold; of earlier versions, which did not record them, the clock's."""
    if row.cpu_minutes is not None:
        return f"{row.cpu_minutes:.1f}"
    return percent(None) if row.clock_minutes is None else f"{row.clock_minutes:.1f} (clock)"


def _data(result: Mapping[str, Any]) -> str:
    return f"{result['dataset']}, {len(result['class_set']['classes'])} classes"


def _protocol(protocol: Mapping[str, Any], partial: str = "") -> str:
    return f"`{protocol['name']}`{partial}{', speakers shared' * protocol['shares_speakers']}"


def _folds_in_words(run: int, protocol: Mapping[str, Any]) -> str:
    """Returns how many folds were run, such as " (2 of 5 folds)"; "" for all."""
    return "" if run == protocol["folds"] else f" ({run} of {protocol['folds']} folds)"


def best_table(results: Results) -> str:
    """Returns the best complete row of each data, protocol and track beside its baseline.

    A cross-validation is complete when all folds were trained for all epochs of their recipe. An
    ensemble names its best member.

    Args:
        results: see `read_results`.
    """
    best = best_rows(
        rows_of(filter(is_complete, results["cross-validation"].values())),
        lambda result: (result["dataset"], result["protocol"]["sha256"], track_of(result)),
    )
    baselines = list(results["baseline"].values())
    head = ("data", "protocol", "track", "model, settings", "UA (95 % over speakers)")
    return markdown(
        (*head, "baseline, same folds", "UA above it", "chance"),
        [_best_row(row, baselines) for row in best.values()],
    )


def _best_row(row: Row, baselines: Iterable[Mapping[str, Any]]) -> list[str]:
    result, baseline = row.first, row.baseline(baselines)
    return [
        _data(result),
        _protocol(result["protocol"]),
        track_of(result),
        _model_in_words(row),
        f"**{percent(row.ua)}** ({interval(row.ua_interval, result['pooled']['speakers'])})",
        "" if baseline is None else ua_with_interval(baseline),
        difference_in_words(baseline),
        percent(1 / len(result["class_set"]["classes"])),
    ]


def _model_in_words(row: Row) -> str:
    """Returns a model with its settings, seeds, further data and best member, as short as it is."""
    result = row.first
    words = [f"`{result['model']}`", SETTINGS[result["settings"]]]
    if members := result.get("members"):
        name = result["best_member"]["name"]
        best = next(member["model"] for member in members if member["name"] == name)
        words[1] = f"{len(members)} runs, best `{best}` {percent(result['best_member']['ua'])}"
    elif len(row.results) > 1:
        words.append(f"{len(row.results)} seeds")
    if on_frames_alone(result):
        words.append("frames alone")
    if for_one_track_alone(result):
        words.append("for this track alone")
    if others := sorted({words.split()[0] for words in further_sets(result)}):
        words.append(f"with {', '.join(others)}")
    return ", ".join(words)


def baselines_table(results: Results) -> str:
    """Returns the table of the support vector machines; those that results stand beside in bold.

    Args:
        results: see `read_results`.
    """
    baselines = list(results["baseline"].values())
    rows: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for result in baselines:
        key = (
            *(_data(result), _protocol(result["protocol"])),
            *(result["features"]["spec_name"], result["kernel"]),
        )
        rows.setdefault(key, {})[result["track"]] = result
    head = ["data", "protocol", "features", "kernel"]
    for track in TRACKS:
        head += [f"{track}: inner UA", f"{track}: UA (95 % over speakers)"]
    cells = [[*key, *_tracks(rows[key], baselines)] for key in sorted(rows)]
    return markdown(head, cells)


def _tracks(
    by_track: Mapping[str, Mapping[str, Any]], baselines: Sequence[Mapping[str, Any]]
) -> list[str]:
    cells = []
    for track in TRACKS:
        if track not in by_track:
            cells += ["", ""]
            continue
        result = by_track[track]
        bold = "**" * (baseline_of(baselines, result) is result)
        cells += [percent(inner_ua(result)), f"{bold}{ua_with_interval(result['pooled'])}{bold}"]
    return cells


def enrolments_table(curves: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table of UA by what is enrolled, beside the blind answer on the same speech.

    Args:
        curves: results of `ser enrolment-curve`.
    """
    head = ("data", "protocol", "model", "enrolled of a speaker", "mean, s", "UA adapted")
    return markdown(
        (*head, "UA blind, same speech", "UA above blind (95 % over speakers)"),
        [_enrolment_row(curve, row) for curve in curves for row in curve["enrolments"]],
    )


def _enrolment_row(curve: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    protocol = curve["protocol"]
    return [
        _data(curve),
        _protocol(protocol, _folds_in_words(protocol["folds_run"], protocol)),
        f"`{curve['model']}`",
        enrolled_in_words(row),
        f"{row['enrolled_s']:.1f}",
        percent(row["ua"]),
        percent(row["blind_ua"]),
        difference_in_words(row),
    ]


def searches_table(searches: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table of what searches chose: UA on the test speakers of their folds.

    Args:
        searches: results of `ser tune --test`.
    """
    head = ("data", "folds", "model", "trials, epochs each", "recipe", "best trial", "difference")
    return markdown(head, map(_search_row, searches))


def _search_row(search: Mapping[str, Any]) -> list[str]:
    test = search["test"]
    changes = ", ".join(search["changes"])
    return [
        _data(search),
        f"`{search['protocol']['name']}` {', '.join(search['folds'])}",
        f"`{search['model']}`{f' with {changes}' if changes else ''}",
        f"{len(search['trials'])}, {search['trial_epochs'] or 'all'}",
        *map(ua_with_interval, (test["recipe"], test["best"])),
        points_with_interval(test["difference"], test["recipe"]["speakers"]),
    ]


def studies_table(studies: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table of studies: the criterion on the validation speakers at every value.

    Args:
        studies: results of `ser study`.
    """
    rows = []
    for study in studies:
        for line in study["lines"]:
            scores = [f"{p['value']:g}: {percent(p[study['criterion']])}" for p in line["points"]]
            setting = f"{line['about']} ({line['unit']})"
            about = [_data(study), f"`{study['study']}`", setting, study["criterion"].upper()]
            rows.append([*about, ", ".join(scores), f"{line['chosen']:g}"])
    head = ("data", "study", "setting", "validation score", "at each value", "best value")
    return markdown(head, rows)


def ablations_table(ablations: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table of ablations: what every lever is worth on each track.

    Args:
        ablations: results of `ser ablation`.
    """
    rows = []
    for ablation in ablations:
        for lever in ablation["levers"]:
            cells = [_ablated(ablation), f"`{ablation['recipe']}`", lever["lever"]]
            for track in TRACKS:
                scored = lever["tracks"].get(track)
                cells += [percent(scored["ua"]) if scored else "–"]
                shown = scored and lever["changes"]
                cells += [difference_in_words(scored) if shown else "–"]
            rows.append(cells)
    tracks = [words for track in TRACKS for words in (f"UA {track}", "above the recipe")]
    return markdown(("data", "recipe", "change", *tracks), rows)


def _ablated(ablation: Mapping[str, Any]) -> str:
    """Returns the data of an ablation, with the number of its folds where it has not all."""
    return _data(ablation) + _folds_in_words(len(ablation["folds"]), ablation["protocol"])


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Returns a Markdown table.

    Example:
        >>> markdown(["a", "b"], [["1", "2"]])
        '| a | b |\n|---|---|\n| 1 | 2 |'
    """
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
