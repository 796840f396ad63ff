"""Markdown tables of cross-validations, baselines, searches and studies; scores in percent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ser_keras.report.baselines import (
    baseline_of,
    baseline_ua,
    published_baselines,
    published_ua,
)
from ser_keras.report.percent import percent, ua_with_interval
from ser_keras.report.results_folder import Results
from ser_keras.report.variants import is_complete, settings_in_words, speakers_tested


def table(
    results: Iterable[Mapping[str, Any]],
    published: Sequence[Mapping[str, Any]] = (),
    baselines: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Returns the table of cross-validations, each beside its baselines.

    WA and UA are pooled over all test utterances; the interval is the 95 % one of resampling
    speakers.

    Args:
        results: cross-validations.
        published: see `baselines.published_baselines`.
        baselines: results of `ser baseline`.
    """
    head = (
        *("data", "protocol", "model", "settings", "UA", "95 % over speakers", "WA"),
        *("UA over folds", "published SVM UA", "SVM UA, same folds", "chance"),
        *("epoch chosen by", "parameters"),
    )
    return markdown(head, [_row(result, published, baselines) for result in results])


def table_of(results: Results) -> str:
    """Returns the table of all cross-validations of a folder, see `read_results`."""
    cross_validations = results["cross-validation"].values()
    baselines = list(results["baseline"].values())
    return table(cross_validations, published_baselines(results), baselines)


def _row(
    result: Mapping[str, Any],
    published: Iterable[Mapping[str, Any]],
    baselines: Iterable[Mapping[str, Any]],
) -> list[str]:
    pooled, protocol = result["pooled"], result["protocol"]
    low, high = map(percent, pooled["ua_interval"])
    folds, folds_run = result["over_folds"]["ua"], protocol["folds_run"]
    partial = f" ({folds_run} of {protocol['folds']} folds)" * (folds_run != protocol["folds"])
    return [
        _data(result),
        _protocol(protocol, partial),
        f"`{result['model']}`",
        settings_in_words(result),
        f"**{percent(pooled['ua'])}**",
        f"{low} – {high}" if speakers_tested(result) > 1 else "one speaker",
        percent(pooled["wa"]),
        f"{percent(folds['mean'])} ± {percent(folds['std'])}" if folds_run > 1 else "one fold",
        percent(published_ua(published, result), missing=""),
        percent(baseline_ua(baselines, result), missing=""),
        percent(1 / len(result["class_set"]["classes"])),
        {"validation": "validation part", "last": "fixed in advance"}[result["epoch_chosen_by"]],
        f"{result['cost']['parameters'] / 1e6:.2f} M",
    ]


def _data(result: Mapping[str, Any]) -> str:
    return f"{result['dataset']}, {len(result['class_set']['classes'])} classes"


def _protocol(protocol: Mapping[str, Any], partial: str = "") -> str:
    return f"`{protocol['name']}`{partial}{', speakers shared' * protocol['shares_speakers']}"


def best_table(results: Results) -> str:
    """Returns the best complete cross-validation of each data and protocol beside its baselines.

    A cross-validation is complete when all folds were trained for all epochs of their recipe.

    Args:
        results: see `read_results`.
    """
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for result in results["cross-validation"].values():
        key = (result["dataset"], result["protocol"]["sha256"])
        if is_complete(result):
            best[key] = max(best.get(key, result), result, key=lambda row: row["pooled"]["ua"])
    published, baselines = published_baselines(results), list(results["baseline"].values())
    head = ("data", "protocol", "model, settings", "UA (95 % over speakers)")
    return markdown(
        (*head, "SVM baseline, same folds", "published SVM", "chance"),
        [_best_row(result, published, baselines) for result in best.values()],
    )


def _best_row(
    result: Mapping[str, Any],
    published: Iterable[Mapping[str, Any]],
    baselines: Iterable[Mapping[str, Any]],
) -> list[str]:
    baseline = baseline_of(baselines, result)
    low, high = map(percent, result["pooled"]["ua_interval"])
    return [
        _data(result),
        _protocol(result["protocol"]),
        f"`{result['model']}`, {settings_in_words(result)}",
        f"**{percent(result['pooled']['ua'])}** ({low} – {high})",
        "" if baseline is None else ua_with_interval(baseline["pooled"]),
        percent(published_ua(published, result), missing=""),
        percent(1 / len(result["class_set"]["classes"])),
    ]


def baselines_table(results: Results) -> str:
    """Returns the table of the support vector machines, ours and the published ones.

    Args:
        results: see `read_results`.
    """
    measured = {
        (result["dataset"], result["protocol"]["name"]): result["pooled"]
        for result in results["baseline"].values()
    }
    published = {
        (row["dataset"], row["protocol"]): [f"{row['ua']:.1f}", f"{row['wa']:.1f}"]
        for row in published_baselines(results)
    }
    rows = [
        [key[0], f"`{key[1]}`", *_ua_and_wa(measured.get(key)), *published.get(key, ["", ""])]
        for key in sorted({*measured, *published})
    ]
    head = ("data", "protocol", "UA (95 % over speakers)", "WA", "published UA", "published WA")
    return markdown(head, rows)


def _ua_and_wa(pooled: Mapping[str, Any] | None) -> list[str]:
    return ["", ""] if pooled is None else [ua_with_interval(pooled), percent(pooled["wa"])]


def searches_table(searches: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table of what searches chose: UA on the test speakers of their folds.

    Args:
        searches: results of `ser tune --test`.
    """
    head = ("data", "folds", "model", "trials, epochs each", "recipe", "best trial", "difference")
    return markdown(head, map(_search_row, searches))


def _search_row(search: Mapping[str, Any]) -> list[str]:
    test = search["test"]
    # Adding zero turns -0.0 into 0.0.
    difference, low, high = (f"{round(100 * v, 1) + 0:+.1f}" for v in test["difference"])
    has_interval = test["recipe"]["speakers"] > 1
    changes = ", ".join(search["changes"])
    return [
        _data(search),
        f"`{search['protocol']['name']}` {', '.join(search['folds'])}",
        f"`{search['model']}`{f' with {changes}' if changes else ''}",
        f"{len(search['trials'])}, {search['trial_epochs'] or 'all'}",
        *(
            ua_with_interval(scores) if has_interval else percent(scores["ua"])
            for scores in (test["recipe"], test["best"])
        ),
        difference + (f" ({low} – {high})" if has_interval else ", one speaker"),
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


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Returns a Markdown table.

    Example:
        >>> markdown(["a", "b"], [["1", "2"]])
        '| a | b |\n|---|---|\n| 1 | 2 |'
    """
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
