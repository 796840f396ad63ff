"""What the folds of a run add up to: its cost, who was not adapted to, its result by track."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import SchemaError
from ser_keras.experiments.provenance import BLIND_RESULT
from ser_keras.files import read_json
from ser_keras.models import build_model
from ser_keras.models.cost import multiply_accumulates
from ser_keras.protocols import Protocol
from ser_keras.training.fold_training import resolved_options


def read_result(path: Path) -> dict[str, Any]:
    """Returns the result of a run.

    Args:
        path: Path of its `result.json`.

    Raises:
        SchemaError: the file is missing, empty or damaged.
    """
    result: dict[str, Any] = read_json(
        path,
        "the result of a run",
        "Remove this file and give the command of the run again: finished folds are kept.",
        keys=("protocol", "folds"),
    )
    return result


def read_scores(path: Path) -> dict[str, np.ndarray]:
    """Returns keys, classes and probabilities of a fold's scored part.

    Raises:
        SchemaError: the file is missing, empty or damaged.
    """
    try:
        # np.load leaves a damaged file open when it is given the path itself.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SchemaError(
            f"{path}: is missing or damaged ({error}), expected the scores of a fold. Remove the "
            f"folder {path.parent} and give the command of the run again: only this fold is made "
            "anew."
        ) from None


def results_by_track(output: Path) -> list[dict[str, Any]]:
    """Returns the results in a run's folder: that of its own track, then the other if it has one.

    Args:
        output: Path. Folder of a run whose `result.json` was written.
    """
    result = read_result(output / "result.json")
    if len(result["folds"][0].get("tracks", ())) < 2:
        return [result]
    return [result, read_result(output / BLIND_RESULT)]


def not_adapted(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the test speakers with too little speech to adapt to."""
    return sorted({name for record in records for name in record.get("not_adapted", ())})


def cost_of(
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Returns parameters, training time, memory and multiply-accumulates of a median utterance.

    "train_seconds" is by the clock. "cpu_seconds" and "peak_memory_bytes" are missing where a fold
    of an earlier version did not record them.
    """
    frames = int(np.median([row.frames for row in feature_set.rows]))
    model = build_model(
        config.model.name,
        num_classes=len(protocol.class_set.classes),
        dim=feature_set.schema.dim,
        **resolved_options(config.model),
    )
    peaks = [record["peak_memory_bytes"] for record in records if "peak_memory_bytes" in record]
    return {
        "parameters": records[0]["parameters"],
        "multiply_accumulates": multiply_accumulates(model, frames),
        "at_frames": frames,
        **{
            name: round(sum(record[name] for record in records), 1)
            for name in ("train_seconds", "cpu_seconds")
            if all(name in record for record in records)
        },
        **({"peak_memory_bytes": max(peaks)} if len(peaks) == len(records) else {}),
    }
