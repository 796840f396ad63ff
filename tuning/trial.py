"""One trial: a recipe with some settings changed, judged on validation speakers alone."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.config import TrainConfig, load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments.crossval import write_config
from ser_keras.experiments.fold_runs import FoldProgress, named_progress, validation_fold
from ser_keras.files import locked, read_json, write_json
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.trainer import FoldTrainer

# Trials that the median is made of at least; the first ones are all trained on every fold.
ENOUGH = 4
COMPLETED, PRUNED = "completed", "pruned"


def trial_config(
    recipe: str, values: Mapping[str, Any], changes: Sequence[str], epochs: int | None = None
) -> TrainConfig:
    """Returns a trial's configuration: fixed epochs, for its validation part judges it.

    Args:
        recipe: name or file.
        values: mapping of key to value, the trial's.
        changes: `key=value`, the user's, of all trials.
        epochs: int. Instead of the recipe's, for a strategy that gives some trials fewer.
    """
    assignments = ["select=last", *changes, *(f"{key}={value}" for key, value in values.items())]
    if epochs is not None:
        assignments.append(f"epochs={epochs}")
    return load_config(recipe, assignments)


def run_trial(
    config: TrainConfig,
    values: Mapping[str, Any],
    feature_set: FeatureSet,
    protocol: Protocol,
    folds: Sequence[Fold],
    folder: Path,
    progress: FoldProgress | None = None,
    *,
    prunes: bool = True,
) -> dict[str, Any]:
    """Trains a configuration on the folds' training parts and scores their validation parts.

    Test parts are neither trained on nor scored. A trial whose mean UA after a fold is below the
    median that the trials before it had after as many is not trained on the others. What is done
    in `folder` is taken as it is.

    Args:
        config: of the trial.
        values: mapping of key to value, for the record.
        feature_set: features of the corpus.
        protocol: the folds' protocol.
        folds: those of its folds that judge.
        folder: Path. The trial's; those of the others lie beside it.
        progress: called as (fold name, epoch, epochs, logs).
        prunes: bool. Whether a trial below the median is stopped.

    Returns:
        the record, also in `record.json`: values, status, "ua" (mean over the folds that were
        scored), every fold's UA, seconds and learning curve, parameters, seed, and `config.yaml`
        beside it.

    Raises:
        LeakageError: the audit found a speaker of a test part in training or validation.
    """
    done = folder / "record.json"
    with _alone(folder):
        if done.exists():
            return read_record(done)
        began = time.perf_counter()
        write_config(folder / "config.yaml", config)
        earlier = finished_records(folder.parent) if prunes else []
        status, scored = _train_folds(
            config, feature_set, protocol, folds, folder, earlier, progress
        )
        record = {
            "trial": folder.name,
            "status": status,
            "values": dict(values),
            "ua": _mean_ua(scored),
            "epochs": config.epochs,
            "seed": config.seed,
            "parameters": scored[0]["parameters"],
            "train_seconds": round(sum(fold["train_seconds"] for fold in scored), 1),
            "seconds": round(time.perf_counter() - began, 1),
            "folds": [
                {key: fold[key] for key in ("fold", "ua", "wa", "train_seconds", "history")}
                for fold in scored
            ],
        }
        write_json(done, record)
        return record


def _train_folds(
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    folds: Sequence[Fold],
    folder: Path,
    earlier: Sequence[Mapping[str, Any]],
    progress: FoldProgress | None,
) -> tuple[str, list[dict[str, Any]]]:
    """Trains fold after fold, as long as `earlier` is not better; returns status and scores."""
    scored: list[dict[str, Any]] = []
    for fold in folds:
        trainer = FoldTrainer(
            config,
            feature_set,
            protocol.class_set,
            validation_fold(fold),
            folder / fold.name,
            named_progress(progress, f"{fold.name}, trial {folder.name}"),
        )
        scored.append(trainer.run())
        if len(scored) < len(folds) and _is_below_median(scored, earlier):
            return PRUNED, scored
    return COMPLETED, scored


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process runs the trial of this folder.

    A chief that is started again after a kill hands out trials that its workers still run. The
    lock ends with the process that holds it.
    """
    with locked(folder / ".lock"):
        yield


def finished_records(folder: Path) -> list[dict[str, Any]]:
    """Returns the records of the trials in a folder, by name."""
    return [read_record(path) for path in sorted(folder.glob("*/record.json"))]


def read_record(path: Path) -> dict[str, Any]:
    """Returns the record of a trial.

    Args:
        path: Path of its `record.json`.

    Raises:
        SchemaError: the file is missing, empty or damaged.
    """
    record: dict[str, Any] = read_json(
        path,
        "the record of a trial",
        "Remove this file and give the same command again: the trial's finished folds are kept.",
        keys=("folds",),
    )
    return record


def _mean_ua(scored: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([fold["ua"] for fold in scored]))


def _is_below_median(
    scored: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]
) -> bool:
    others = [
        _mean_ua(record["folds"][: len(scored)])
        for record in earlier
        if len(record["folds"]) >= len(scored)
    ]
    return len(others) >= ENOUGH and _mean_ua(scored) < float(np.median(others))
