"""The support vector machines that results are compared with: our own, and published ones."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.report.results_folder import Results


def published_baselines(results: Results) -> list[Mapping[str, Any]]:
    """Returns the published scores: "dataset", "protocol", "ua" and "wa" in percent of each."""
    return [scores for table in results["published"].values() for scores in table["floors"]]


def published_ua(baselines: Iterable[Mapping[str, Any]], result: Mapping[str, Any]) -> float | None:
    """Returns the published UA on a result's data and protocol, None where there is none.

    Args:
        baselines: see `published_baselines`.
        result: a cross-validation.
    """
    key = (result["dataset"], result["protocol"]["name"])
    return next(
        (row["ua"] / 100 for row in baselines if key == (row["dataset"], row["protocol"])), None
    )


def baseline_of(
    baselines: Iterable[Mapping[str, Any]], result: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Returns the baseline with the data and the protocol of a result, None where there is none.

    Args:
        baselines: results of `ser baseline`.
        result: a cross-validation.
    """
    key = (result["dataset"], result["protocol"]["sha256"])
    return next(
        (row for row in baselines if key == (row["dataset"], row["protocol"]["sha256"])), None
    )


def baseline_ua(baselines: Iterable[Mapping[str, Any]], result: Mapping[str, Any]) -> float | None:
    """Returns the UA of `baseline_of` on exactly the folds of a result."""
    baseline = baseline_of(baselines, result)
    if baseline is None:
        return None
    names = {fold["fold"] for fold in result["folds"]}
    counts = [fold["confusion"] for fold in baseline["folds"] if fold["fold"] in names]
    return metrics.unweighted_accuracy_of(np.sum(counts, axis=0))
