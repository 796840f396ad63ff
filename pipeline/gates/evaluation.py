"""Scores a trained model by slices of its test utterances.

The scores are those of the run's test parts, so no slice contains speech that the model was trained
on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.gates.blessing import bless
from pipeline.gates.thresholds import SLICES, Verdict
from pipeline.statistics.file import as_json
from ser_keras import metrics
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.files import parse_json, replacing

EVALUATION = "evaluation.json"
THIRDS = ("short", "middle", "long")


def evaluate(run: Path, features: Path) -> dict[str, Any]:
    """Returns the scores of a run's test parts, overall and by slice.

    Args:
        run: folder of `ser crossval` or `ser train`.
        features: output folder of `ser features`.

    Returns:
        `slices`: mapping of `all`, `corpus`, `gender`, `speaker` and `duration` (thirds of the test
        utterances) to mapping of value to `metrics.summarize`. The other keys describe the run.

    Raises:
        ConfigError: `run` holds no finished run.
        SchemaError: the features lack an utterance that was scored.
    """
    from ser_keras.experiments.crossval import pooled_scores
    from ser_keras.experiments.run_result import read_result

    if not (run / "result.json").is_file():
        raise ConfigError(
            f"{run}: found no result.json, expected a finished run of ser crossval or ser train. "
            "Run the same training command again to continue it."
        )
    result = read_result(run / "result.json")
    scores = pooled_scores(run / "folds", result["folds"])
    row_of = {row.key: row for row in FeatureSet.open(features).rows}
    if missing := [str(key) for key in scores["keys"] if key not in row_of]:
        raise SchemaError(
            f"{features}: found no utterance {missing[0]} ({len(missing)} are missing), expected "
            "all that the run scored. Give the features that it was trained on."
        )
    rows = [row_of[key] for key in scores["keys"]]
    bounds = np.quantile([row.duration_s for row in rows], [1 / 3, 2 / 3])
    classes = tuple(result["class_set"]["classes"])
    return {
        "model": result["model"],
        "dataset": result["dataset"],
        "protocol": result["protocol"],
        "classes": list(classes),
        "track": result.get("track", "blind"),
        "not_adapted": result.get("not_adapted", []),
        "weights": {fold["fold"]: fold["weights_sha256"] for fold in result["folds"]},
        "duration_bounds_s": bounds.tolist(),
        "slices": _scores_by_slice(scores, rows, classes, bounds),
    }


def write_evaluation(folder: Path, evaluation: Mapping[str, Any], verdict: Verdict) -> None:
    """Writes `evaluation.json` and the verdict into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**evaluation, "reasons": verdict.reasons, "notes": verdict.notes}
    with replacing(folder / EVALUATION) as stream:
        stream.write(as_json(content))
    bless(folder, verdict.reasons)


def load_evaluation(folder: Path) -> dict[str, Any]:
    """Returns the content of `evaluation.json`.

    Raises:
        SchemaError: there is no such file.
    """
    try:
        return parse_json((folder / EVALUATION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SchemaError(
            f"{folder}: found no readable {EVALUATION} ({error}). Run the evaluator again."
        ) from None


def _scores_by_slice(
    scores: Mapping[str, np.ndarray],
    rows: Sequence[IndexRow],
    classes: tuple[str, ...],
    bounds: np.ndarray,
) -> dict[str, dict[str, Any]]:
    third = np.searchsorted(bounds, [row.duration_s for row in rows], side="left")
    columns = {
        "all": ["all"] * len(rows),
        **{name: [getattr(row, name) or "unknown" for row in rows] for name in SLICES[1:4]},
        "duration": [THIRDS[number] for number in third],
    }
    speakers = np.array([row.speaker for row in rows])
    by_slice: dict[str, dict[str, Any]] = {}
    for name, values in columns.items():
        for value in sorted(set(values)):
            chosen = np.array(values) == value
            by_slice.setdefault(name, {})[value] = metrics.summarize(
                scores["classes"][chosen],
                scores["probabilities"][chosen],
                speakers[chosen].tolist(),
                classes,
            )
    return by_slice
