"""Markdown tables of cross-validations, searches, label curves and corpora; scores in percent."""

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
        f"{_protocol(protocol, partial)}",
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
        if is_complete(result) and _ua(result) > _ua(best.get(key)):
            best[key] = result
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


def _ua(result: Mapping[str, Any] | None) -> float:
    return -1.0 if result is None else result["pooled"]["ua"]


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
    several = test["recipe"]["speakers"] > 1
    changes = ", ".join(search["changes"])
    return [
        _data(search),
        f"`{search['protocol']['name']}` {', '.join(search['folds'])}",
        f"`{search['model']}`{f' with {changes}' if changes else ''}",
        f"{len(search['trials'])}, {search['trial_epochs'] or 'all'}",
        *(
            ua_with_interval(scores) if several else percent(scores["ua"])
            for scores in (test["recipe"], test["best"])
        ),
        difference + (f" ({low} – {high})" if several else ", one speaker"),
    ]


def label_curve_table(result: Mapping[str, Any]) -> str:
    """Returns the table of UA by share of labels.

    Args:
        result: see `ser_keras.experiments.label_curve.run_label_curve`.
    """
    kinds = sorted({point["unlabelled"] for point in result["points"]})
    points = {(point["fraction"], point["unlabelled"]): point for point in result["points"]}
    rows = []
    for fraction in sorted({fraction for fraction, _ in points}):
        row = [points.get((fraction, kind)) for kind in kinds]
        labelled = next(point["labelled"] for point in row if point)
        cells = ["" if point is None else percent(point["ua"]) for point in row]
        rows.append([f"{100 * fraction:g} % ({labelled:g})", *cells])
    text = markdown(("labels", *kinds), rows)
    if of_validation := next((p.get("of_validation") for p in result["points"]), 0):
        text += (
            "\n\nShares are of the training utterances. In brackets: all utterances with a label. "
            f"{of_validation:g} of them are of the validation speakers, who choose the epoch and "
            "keep all their labels at every share."
        )
    return text


def crosscorpus_table(result: Mapping[str, Any]) -> str:
    """Returns the matrix of UA by training and tested corpus.

    Args:
        result: see `ser_keras.experiments.crosscorpus.run_crosscorpus`.
    """
    names = result["datasets"]
    cells = {(cell["train"], cell["test"]): ua_with_interval(cell) for cell in result["cells"]}
    rows = [[train, *(cells.get((train, test), "") for test in names)] for train in names]
    classes = result["class_set"]["classes"]
    about = f"UA on {', '.join(classes)}; chance {percent(1 / len(classes))}; 95 % over speakers."
    return f"{markdown(('trained on', *names), rows)}\n\n{about}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Returns a Markdown table.

    Example:
        >>> markdown(["a", "b"], [["1", "2"]])
        '| a | b |\n|---|---|\n| 1 | 2 |'
    """
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
