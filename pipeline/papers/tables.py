"""A paper's table beside the results: as Markdown, and as JSON with all numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.papers.experiment import Experiment, Variant

NOTHING = "–"
HEADINGS = ("row", "published", "ours, same metric", "WA", "95 %", "over folds")
MORE_HEADINGS = ("UA", "95 %", "over folds", "folds")
# Headings for the metrics of `ser_keras.metrics`.
METRIC_NAMES = {
    "wa": "WA",
    "ua": "UA",
    "mean_binary_accuracy": "mean binary accuracy (the paper's UA)",
    "mean_binary_balanced_accuracy": "mean binary balanced accuracy (the paper's WA)",
}
NOT_ASKED = "not run: not asked for"


def table_facts(
    experiment: Experiment,
    results: Mapping[str, Mapping[str, Any]],
    not_run: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the whole table as values that JSON can hold.

    Args:
        experiment: the paper's experiment.
        results: mapping of variants' names to results, see
            `ser_keras.experiments.crossval.run_crossval`.
        not_run: mapping of the names of variants without a result to the reasons.
        changes: `key=value` changes of the paper's settings in all rows.

    Returns:
        dict with the experiment's fields and "rows", each with "row", "published" (percent), "ours"
        (shares of 1, None if there is no result) and "status".
    """
    reasons = not_run or {}
    rows = [
        _variant_facts(variant, results.get(variant.name), reasons.get(variant.name, NOT_ASKED))
        for variant in experiment.variants
    ]
    rows += [
        {"row": other.name, "published": dict(other.published), "ours": None, "status": "not ours"}
        for other in experiment.others
    ]
    return {
        "system": experiment.system,
        "corpus": experiment.corpus,
        "protocol": experiment.protocol,
        "source": experiment.source,
        "note": experiment.note,
        "changes": list(changes),
        "rows": rows,
    }


def markdown(facts: Mapping[str, Any]) -> str:
    """Returns a table of `table_facts`, with a sentence above it and the note below."""
    headings = (*HEADINGS, *MORE_HEADINGS)
    lines = [
        f"{facts['system']} on {facts['corpus']}, `{facts['protocol']}`; "
        f"published: {facts['source']}. Percent, pooled over all test utterances; 95 % by "
        "resampling speakers; mean ± deviation over folds.",
        "",
        f"| {' | '.join(headings)} |",
        "|---" * len(headings) + "|",
        *(f"| {' | '.join(_cells(row))} |" for row in facts["rows"]),
    ]
    changed = ", ".join(f"`{change}`" for change in facts["changes"])
    below = [
        facts["note"],
        f"Not the paper's settings, in every row: {changed}." if changed else "",
    ]
    return "\n".join([*lines, *(line for text in below if text for line in ("", text))])


def _variant_facts(
    variant: Variant, result: Mapping[str, Any] | None, reason: str
) -> dict[str, Any]:
    row = {
        "row": variant.name,
        "published": dict(variant.published),
        "recipe": variant.recipe,
        "changes": list(variant.changes),
    }
    if result is None:
        return row | {"ours": None, "status": reason}
    return row | {"ours": _numbers(result), "status": "run"}


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the numbers of a cross-validation's result that the table shows."""
    # It loads the recipes' schema, which `ser --help` can do without.
    from ser_keras.report.baselines import track_of
    from ser_keras.report.variants import speakers_tested

    return {
        "track": track_of(result),
        "pooled": result["pooled"],
        "over_folds": result["over_folds"],
        "folds_run": result["protocol"]["folds_run"],
        "folds": result["protocol"]["folds"],
        "speakers": speakers_tested(result),
        "class_set": result["class_set"],
        "epoch_chosen_by": result["epoch_chosen_by"],
        "weights": result["weights"],
        "parameters": result["cost"]["parameters"],
        "recipes": result["recipes"],
        "of_each_fold": [
            {key: record[key] for key in ("fold", "wa", "ua", "epoch", "sizes")}
            for record in result["folds"]
        ],
    }


def _cells(row: Mapping[str, Any]) -> list[str]:
    published = [f"{_heading(name)} {value}" for name, value in row["published"].items()]
    cells = [row["row"], ", ".join(published) or NOTHING]
    ours = row["ours"]
    if ours is None:
        last = row["status"] if row["status"].startswith("not run") else NOTHING
        return [*cells, *[NOTHING] * (len(HEADINGS) + len(MORE_HEADINGS) - 3), last]
    if ours["track"] != "blind":
        # The papers know nothing of a test speaker.
        cells[0] += f" ({ours['track']} track)"
    pooled = ours["pooled"]
    same = [f"{_heading(name)} {_percent(pooled[name])}" for name in row["published"]]
    cells.append(", ".join(same) or NOTHING)
    from ser_keras.report.percent import interval

    for metric in ("wa", "ua"):
        spread = ours["over_folds"][metric]
        mean_and_std = f"{_percent(spread['mean'])} ± {_percent(spread['std'])}"
        cells += [
            _percent(pooled[metric]),
            interval(pooled[f"{metric}_interval"], ours["speakers"]),
            mean_and_std if ours["folds_run"] > 1 else "one fold",
        ]
    return [*cells, f"{ours['folds_run']} of {ours['folds']}"]


def _heading(metric: str) -> str:
    return METRIC_NAMES.get(metric, metric)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
