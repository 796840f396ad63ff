"""What a run measured, how good it is and against what, in sentences for everybody."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.report.baselines import track_of
from ser_keras.report.percent import interval_in_words, percent, points_with_interval

# Sets of openSMILE's functionals by the names of the feature specs.
OPENSMILE = {"compare": "ComParE functionals", "egemaps": "eGeMAPS functionals"}
# A mistake below this share of a class is not named.
LEAST_SHARE = 0.05


def in_plain_words(
    result: Mapping[str, Any], baseline: Mapping[str, Any] | None = None
) -> list[str]:
    """Returns what was measured, how good it is, against what, and where it errs.

    Args:
        result: a cross-validation.
        baseline: see `report.baselines.baseline_facts`.
    """
    return [_measured(result), _how_good(result), _against(result, baseline), _errors(result)]


def _measured(result: Mapping[str, Any]) -> str:
    protocol, pooled = result["protocol"], result["pooled"]
    speakers = pooled["speakers"]
    known = "" if protocol["shares_speakers"] else ", none of whom it was trained on"
    if speakers == 1 and known:
        known = ", whom it was not trained on"
    partial = (
        f" Only {protocol['folds_run']} of {protocol['folds']} folds were run."
        if protocol["folds_run"] != protocol["folds"]
        else ""
    )
    shared = (
        " It was trained on the same speakers, so new speakers will be recognised worse."
        if protocol["shares_speakers"]
        else ""
    )
    return (
        f"{result['model']} names the emotion ({', '.join(result['class_set']['classes'])}) in "
        f"{pooled['utterances']:,} recordings of {result['dataset']}, of {speakers} "
        f"{'speaker' if speakers == 1 else 'speakers'}{known}.{shared}{partial}"
    )


def _how_good(result: Mapping[str, Any]) -> str:
    pooled = result["pooled"]
    chance = percent(1 / len(result["class_set"]["classes"]))
    interval = interval_in_words(pooled["ua_interval"], pooled.get("speakers"))
    adapted = (
        ", after hearing other recordings of the speaker without their labels"
        if track_of(result) == "adapted"
        else ""
    )
    return (
        f"It recognises {percent(pooled['ua'])} % of an emotion's recordings{adapted}, mean over "
        f"the emotions (UA, unweighted accuracy; {interval}). Guessing recognises {chance} %."
    )


def _against(result: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    if baseline is None:
        return (
            "There is no baseline of the same data, folds and track to compare it with; "
            "ser baseline makes one."
        )
    spec = baseline["features"]
    features = f"openSMILE's {OPENSMILE[spec]}" if spec in OPENSMILE else f"{spec} features"
    text = (
        f"The baseline, a support vector machine ({baseline['kernel']} kernel) on {features}, "
        f"recognises {percent(baseline['ua'])} % of the same recordings"
    )
    if baseline["difference"] is None:
        return f"{text}; the two were not scored on exactly the same recordings."
    _, low, high = baseline["difference"]
    difference = points_with_interval(baseline["difference"], baseline["speakers"])
    verdict = "other speakers might reverse the order"
    if baseline["speakers"] < 3:
        verdict = "too few speakers to say whether others would agree"
    elif low > 0:
        verdict = f"{result['model']} is better"
    elif high < 0:
        verdict = "the baseline is better"
    return f"{text}; the difference is {difference} points: {verdict}."


def _errors(result: Mapping[str, Any]) -> str:
    """Returns the emotions of the highest and of the lowest recall, and what the latter is for."""
    classes: Sequence[str] = result["class_set"]["classes"]
    counts = np.asarray(result["pooled"]["confusion"], float)
    recalls = metrics.recalls_of(counts)
    best, worst = int(np.nanargmax(recalls)), int(np.nanargmin(recalls))
    others = np.where(np.arange(len(classes)) == worst, 0.0, counts[worst] / counts[worst].sum())
    taken = int(others.argmax())
    mistaken = f", most often taken for {classes[taken]}" * bool(others[taken] >= LEAST_SHARE)
    return (
        f"Best recognised: {classes[best]} ({percent(recalls[best])} %). Worst: {classes[worst]} "
        f"({percent(recalls[worst])} %{mistaken})."
    )
