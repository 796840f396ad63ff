"""Publishes a trained fold as a checked SavedModel that takes raw speech."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from serving.export.checks import check_answers, check_operations, check_weights
from serving.export.layout import errors_of_files, model_folder, new_version
from serving.export.map_geometry import map_geometry
from serving.export.model_card import model_card
from serving.export.signatures import (
    Outputs,
    Served,
    ServedModule,
    is_not_gradient_warning,
)
from serving.export.trained_model import TrainedModel
from serving.export.trust.hashes import write_hashes
from serving.export.warmup import warmup_inputs, write_warmup


def export_model(
    trained: TrainedModel,
    data_dir: Path,
    base: Path,
    *,
    name: str | None = None,
    version: int | None = None,
    worth: Mapping[str, Any] | None = None,
) -> Path:
    """Writes, checks and publishes `<base>/<name>/<version>`; returns that folder.

    Args:
        trained: from `open_run`.
        data_dir: folder of the corpus; three of the fold's test recordings are served as a check.
        base: folder of the server's models.
        name: name of the model on the server; the system's name when left out.
        version: int. The next free one when left out.
        worth: mapping. What runs that held people out say of a model that was trained on everyone,
            see `serving.ready.worth`.

    Raises:
        ExportError: weights are not finite, the served features or probabilities are not those of
            training, or a stock server lacks an operation. Nothing is published.
        ConfigError: the version exists, or the model knows only speakers who were enrolled.
    """
    trained.check_answers_strangers()
    served = trained.served
    name = name or served.model.name
    with new_version(model_folder(base, name), version) as (staged, final):
        check_weights(served.model)
        write_export(served, staged, name)
        check_operations(staged)
        differences = check_answers(staged, trained, data_dir)
        about = describe(trained, name, differences)
        if worth is not None:
            about["worth"] = dict(worth)
        extra = staged / "assets.extra"
        (extra / "model.json").write_text(f"{json.dumps(about, indent=1)}\n", encoding="utf-8")
        (extra / "model_card.md").write_text(model_card(about), encoding="utf-8")
        write_hashes(staged)
    return final


def write_export(served: Served, folder: Path, name: str) -> None:
    """Writes the SavedModel with all its signatures and their warm-up requests, unchecked.

    Args:
        served: what is exported.
        folder: of the version.
        name: name of the model on the server.
    """
    module = ServedModule(served)
    save_module(module.trackable(), module.signatures(), folder)
    step = module.stream.step.input if module.stream is not None else {}
    stream = {key: (tuple(tensor.shape[1:]), tensor.dtype) for key, tensor in step.items()}
    speaker = module.speakers.example() if module.speakers is not None else {}
    inputs = warmup_inputs(module.spec.sample_rate_hz, module.spec.dim, stream, speaker)
    write_warmup(folder, name, inputs)


def save_module(
    trackable: tf.Module, signatures: Mapping[str, Callable[..., Outputs]], folder: Path
) -> None:
    """Writes a SavedModel.

    Args:
        trackable: holds the weights.
        signatures: functions by name.
        folder: of the version.
    """
    logging.getLogger("absl").addFilter(is_not_gradient_warning)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with errors_of_files():
        tf.saved_model.save(trackable, str(folder), signatures, options)


def describe(
    trained: TrainedModel, name: str, differences: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Returns the description of an export, `model.json`, as plain values.

    Beside the model's training and scores it holds what clients need: `classes`, `sample_rate_hz`,
    `map_geometry` (see `serving.export.map_geometry.MapGeometry`), `streams`, whether the export
    has the signatures of a stream, and `tracks`, of which `adapted` is served by the signatures of
    `serving.export.speaker_signatures`.
    """
    served, record, result = trained.served, trained.record, trained.result
    return {
        "name": name,
        "model": served.model.name,
        "classes": list(served.classes),
        "sample_rate_hz": served.spec.sample_rate_hz,
        "spec": served.spec.to_dict(),
        "map_geometry": map_geometry(served.model).to_dict(),
        "streams": served.streams,
        "tracks": list(served.tracks),
        "dataset": trained.feature_set.schema.name,
        "corpus": trained.feature_set.schema.corpus,
        "fold": record["fold"],
        "protocol": trained.protocol.name,
        "shares_speakers": trained.protocol.shares_speakers,
        "fold_scores": {"ua": record.get("ua"), "wa": record.get("wa")},
        "track": record.get("track", "blind"),
        "test_speakers": record.get("test_speakers", []),
        "not_adapted": record.get("not_adapted", []),
        "track_scores": record.get("tracks", {}),
        "pooled": result.get("pooled", {}),
        "calibration": trained.calibration,
        "sizes": record["sizes"],
        "parameters": record["parameters"],
        "weights_sha256": record["weights_sha256"],
        "config": record["config"],
        "versions": result.get("versions", {}),
        "checked": differences,
    }
