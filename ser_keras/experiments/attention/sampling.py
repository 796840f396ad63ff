"""The share of the input that the predictive VRNNs of a run sampled, by emotion."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ser_keras.data.batches import evaluation_batches
from ser_keras.errors import ConfigError
from ser_keras.experiments.evaluate import TrainedFold, open_fold, trained_folds
from ser_keras.models.attention.emergent import (
    PUBLISHED,
    PublishedFindings,
    compare_claims,
    pattern_similarity,
    sampled_share,
)

SYSTEM = "predictive_vrnn"


def sampled_by_emotion(
    run: Path, features: Path, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Returns sampled shares (Table 2) and similarities (Fig. 2), over all trained folds of a run.

    Implements Baruah and Banerjee 2022, Sec. 3.3. The model of each fold reads its own test part,
    so no utterance is read by a model that was trained on it.

    Args:
        run: folder of `ser train` or `ser crossval` with predictive VRNNs.
        features: output folder of `ser features`.
        progress: called with the name of each fold before it is scored.

    Returns:
        dict ready for JSON. "with_first_window" and "without_first_window" each hold "share" by
        class, "mean_share" and "similarity"; for the paper's corpora also "claims", which say
        whether the paper's findings hold, see `compare_claims`. "published" holds the paper's
        values for this corpus, or None.

    Raises:
        ConfigError: the run is of another system, whose attention does not sample its input.
        SchemaError: features of another spec.
    """
    folds = [open_fold(run, features, name) for name in trained_folds(run)]
    for fold in folds:
        if fold.config.model.name != SYSTEM:
            raise ConfigError(
                f"{run}: found a run of {fold.config.model.name}, expected one of {SYSTEM}; no "
                "other system samples its input."
            )
    attention, mask, classes = _concatenated([_attention(fold, progress) for fold in folds])
    names = folds[0].class_set.classes
    published = PUBLISHED.get(folds[0].feature_set.schema.corpus)
    tables: dict[str, Any] = {}
    for key, count_first in (("with_first_window", True), ("without_first_window", False)):
        arguments = (attention, mask, classes, len(names))
        shares = sampled_share(*arguments, count_first=count_first)
        similarity = pattern_similarity(*arguments, count_first=count_first)
        tables[key] = {
            "share": dict(zip(names, map(_number, shares), strict=True)),
            "mean_share": _number(np.nanmean(shares)),
            "similarity": [[_number(value) for value in row] for row in similarity],
        }
        if published is not None:
            tables[key]["claims"] = compare_claims(published, names, tables[key])
    return {
        "model": SYSTEM,
        "dataset": folds[0].feature_set.schema.name,
        "spec": folds[0].config.spec,
        "folds": [fold.name for fold in folds],
        "classes": list(names),
        "utterances": len(classes),
        "windows": int(mask.sum()),
        "published": None if published is None else plain_findings(published),
        **tables,
    }


def plain_findings(published: PublishedFindings) -> dict[str, Any]:
    """Returns the paper's values for a corpus, ready for JSON."""
    values = {field.name: getattr(published, field.name) for field in fields(published)}
    return values | {"share": dict(published.share)}


def _attention(
    fold: TrainedFold, progress: Callable[[str], None] | None
) -> list[tuple[np.ndarray, ...]]:
    """Returns (W, mask, classes) of every batch of the fold's part."""
    if progress is not None:
        progress(fold.name)
    output = fold.model.output
    # A model that makes its own windows also returns their mask.
    steps = output.get("steps", fold.model.input["mask"])
    maps = keras.Model(fold.model.input, [output["attention"], steps])
    maps.jit_compile = False  # see `predict`
    batch = fold.config.batch
    return [
        (*maps.predict_on_batch(inputs), classes)
        for _, inputs, classes in evaluation_batches(fold.part, batch.size, batch.bucket_frames)
    ]


def _concatenated(parts: list[list[tuple[np.ndarray, ...]]]) -> tuple[np.ndarray, ...]:
    """Returns all batches as one, padded to the longest utterance."""
    batches = [batch for part in parts for batch in part]
    frames = max(mask.shape[1] for _, mask, _ in batches)

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, 0), (0, frames - array.shape[1])] + [(0, 0)] * (array.ndim - 2))

    return (
        np.concatenate([padded(attention) for attention, _, _ in batches]),
        np.concatenate([padded(mask) for _, mask, _ in batches]),
        np.concatenate([classes for _, _, classes in batches]),
    )


def _number(value: float) -> float | None:
    """Returns the rounded value, or None for nan, which JSON does not have."""
    return None if np.isnan(value) else round(float(value), 4)
