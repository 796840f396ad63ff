"""The result of one experiment for the terminal and the report, as sentences or as a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ser_keras.audit import KNOWN
from ser_keras.report.baselines import track_of
from ser_keras.report.percent import (
    interval_in_words,
    percent,
    points_with_interval,
    ua_with_interval,
)
from ser_keras.report.results_folder import Results
from ser_keras.report.seeds import rows_of
from ser_keras.report.tables import markdown
from ser_keras.report.variants import for_one_track_alone

EPOCH_CHOSEN_BY = {
    "validation": "validation speakers chose the epoch",
    "last": "the number of epochs was fixed in advance",
}


def describe(result: Mapping[str, Any]) -> str:
    """Returns a cross-validation as a few sentences."""
    pooled, protocol = result["pooled"], result["protocol"]
    classes = result["class_set"]["classes"]
    recalls = ", ".join(
        f"{name} {percent(recall, missing='absent')}" for name, recall in pooled["recalls"].items()
    )
    tested = pooled.get("speakers")
    speakers = "SHARED" if protocol["shares_speakers"] else "not shared"
    unlabelled = "".join(f"{line}\n" for line in _describe_unlabelled(result["folds"]))
    return (
        f"{result['model']} on {result['dataset']} ({len(classes)} classes), {protocol['name']}, "
        f"{protocol['folds_run']} of {protocol['folds']} folds; speakers {speakers} between "
        f"training and test.\n{track_in_words(result)}\n"
        f"UA (mean recall of the classes) {percent(pooled['ua'])} "
        f"({interval_in_words(pooled['ua_interval'], tested)}; "
        f"chance {percent(1 / len(classes))}), WA (share of all) {percent(pooled['wa'])}, "
        f"macro-F1 {percent(pooled['macro_f1'])}.\n"
        f"Recalls: {recalls}.\n{unlabelled}"
        f"Parameters {result['cost']['parameters']:,}; "
        f"{result['cost']['multiply_accumulates']:,} multiply-accumulates (what it computes) for "
        f"{result['cost']['at_frames']} frames; "
        f"trained in {cost_in_words(result['cost'])} from "
        f"{result['weights']['initialisation']} weights; "
        f"{EPOCH_CHOSEN_BY[result['epoch_chosen_by']]}."
    )


def describe_members(result: Mapping[str, Any]) -> str:
    """Returns the members of an ensemble with their scores, as a table and a sentence.

    Args:
        result: see `ser_keras.experiments.ensemble.run_ensemble`.
    """
    tested = result["pooled"].get("speakers")
    rows = [
        [
            member["name"],
            member["model"],
            str(member["seed"]),
            f"{member['weight']:.3f}",
            ua_with_interval(member, tested),
            percent(member["wa"]),
            points_with_interval(member["ensemble_above"], tested),
        ]
        for member in result["members"]
    ]
    head = ("member", "model", "seed", "weight", "UA (95 % over speakers)", "WA")
    best = result["best_member"]
    above = points_with_interval(best["ensemble_above"], tested)
    text = (
        f"{markdown((*head, 'ensemble above it'), rows)}\n\n"
        f"Best single member on the same test parts: {best['name']}, UA {percent(best['ua'])}. UA "
        f"of the ensemble above it, in points: {above}."
    )
    for member in result["left_out"]:
        text += f"\nNot in this mean: {member['name']}, which {member['reason']}."
    return f"{text}\n{result['note']}" if result["note"] else text


def track_in_words(result: Mapping[str, Any]) -> str:
    """Returns what was known of the test speakers, as the audit of a result says it.

    Example:
        >>> track_in_words({})
        'Track blind: nothing was known of a test speaker.'
    """
    track = track_of(result)
    messages = [f["message"] for f in result.get("audit", ()) if f["check"] == "track"]
    # A result of an earlier version says nothing of it.
    message = messages[0] if messages else f"track {track}: {KNOWN[track]}."
    return message[:1].upper() + message[1:]


def cost_in_words(cost: Mapping[str, float]) -> str:
    """Returns the time of a training by the clock and, where it was recorded, of the processor.

    Example:
        >>> cost_in_words({"train_seconds": 90.0, "cpu_seconds": 80.0})
        '90 s (80 s of one processor core)'
    """
    cpu = cost.get("cpu_seconds")
    return f"{cost['train_seconds']:,.0f} s" + (
        "" if cpu is None else f" ({cpu:,.0f} s of one processor core)"
    )


def training_cost(results: Results) -> str:
    """Returns what the rows of models for one track alone took, and what all their seeds would.

    Args:
        results: see `read_results`.

    Returns:
        A sentence; "" where there is no such row.
    """
    trained = results["cross-validation"].values()
    alone = [run for run in trained if for_one_track_alone(run) and not run.get("members")]
    hours_of_rows = [
        [result["cost"]["cpu_seconds"] / 3600 for result in row.results]
        for row in rows_of(alone)
        if row.cpu_minutes is not None
    ]
    if not hours_of_rows:
        return ""
    three_seeds = sum(3 * sum(hours) / len(hours) for hours in hours_of_rows)
    runs, hours = sum(map(len, hours_of_rows)), sum(map(sum, hours_of_rows))
    return (
        f"The {len(hours_of_rows)} rows *for this track alone*, {runs} runs in all, took "
        f"{hours:.1f} hours of one processor core. Three seeds of each take about "
        f"{three_seeds / 2:.1f} hours on two cores."
    )


def describe_baseline(result: Mapping[str, Any]) -> str:
    """Returns a result of `ser baseline` as a sentence."""
    pooled = result["pooled"]
    values = ", ".join(f"{c:g}" for c in sorted({fold["c"] for fold in result["folds"]}))
    return (
        f"{result['kernel']} SVM on {result['features']['spec_name']} of {result['dataset']}, "
        f"{result['protocol']['name']}, {result['track']}: "
        f"UA {percent(pooled['ua'])} "
        f"({interval_in_words(pooled['ua_interval'], pooled.get('speakers'))}), "
        f"WA {percent(pooled['wa'])}; inner UA "
        f"{percent(result['choice']['inner_ua'][result['kernel']])}, C {values}."
    )


def _describe_unlabelled(folds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a sentence for each unlabelled set: what was trained on and what was left out."""
    all_sets = [part for fold in folds for part in fold.get("unlabelled_sets", ())]
    for name in dict.fromkeys(part["dataset"] for part in all_sets):
        of_name = [part for part in all_sets if part["dataset"] == name]
        trained = sum(part["trained_on"] for part in of_name) / len(of_name)
        dropped = [keys for part in of_name for keys in part["dropped"].values()]
        yield (
            f"Unlabelled, of {name}: {trained:g} utterances, mean over folds; "
            f"{sum(map(len, dropped)) / len(of_name):g} left out, because they or their speakers "
            "are in the test part or in the part that chooses the epoch."
        )


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
    """Returns the matrix of UA by training and tested corpus, on every track that was scored.

    Args:
        result: see `ser_keras.experiments.crosscorpus.run_crosscorpus`.
    """
    classes = result["class_set"]["classes"]
    about = f"UA on {', '.join(classes)}; chance {percent(1 / len(classes))}; 95 % over speakers."
    parts = [f"{_matrix(result, 'cells')}\n\nTrack {track_of(result)}: {about}"]
    if "blind_cells" in result:
        parts.append(f"{_matrix(result, 'blind_cells')}\n\nTrack blind: {about}")
    return "\n\n".join(parts)


def _matrix(result: Mapping[str, Any], key: str) -> str:
    names = result["datasets"]
    cells = {(cell["train"], cell["test"]): ua_with_interval(cell) for cell in result[key]}
    rows = [[train, *(cells.get((train, test), "") for test in names)] for train in names]
    return markdown(("trained on", *names), rows)
