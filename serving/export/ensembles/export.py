"""Publishes a fold of an ensemble as a checked SavedModel that takes raw speech."""

import json
from pathlib import Path
from typing import Any

from serving.export.checks import check_operations, check_weights
from serving.export.ensembles.checks import check_ensemble
from serving.export.ensembles.opened import TrainedEnsemble
from serving.export.ensembles.signatures import EnsembleModule, ServedEnsemble
from serving.export.export import save_module
from serving.export.layout import model_folder, new_version
from serving.export.map_geometry import map_geometry
from serving.export.model_card import model_card
from serving.export.trust.hashes import write_hashes
from serving.export.warmup import warmup_inputs, write_warmup

MODEL = "ensemble"


def export_ensemble(
    trained: TrainedEnsemble,
    data_dir: Path,
    base: Path,
    *,
    name: str | None = None,
    version: int | None = None,
) -> Path:
    """Writes, checks and publishes `<base>/<name>/<version>`; returns that folder.

    Args:
        trained: from `open_ensemble`.
        data_dir: folder of the corpus; test recordings of the fold are served as a check.
        base: folder of the server's models.
        name: name of the model on the server; `ensemble` when left out.
        version: int. The next free one when left out.

    Raises:
        ExportError: weights are not finite, the served answers are not the mean of the trained
            models', or a stock server lacks an operation. Nothing is published.
        ConfigError: the version exists, or no member has the blind track.
    """
    if not trained.served.on("blind"):
        trained.members[0].check_answers_strangers()
    name = name or MODEL
    with new_version(model_folder(base, name), version) as (staged, final):
        for member in trained.members:
            check_weights(member.model)
        write_ensemble(trained.served, staged, name)
        check_operations(staged)
        differences = check_ensemble(staged, trained, data_dir)
        about = describe_ensemble(trained, name, differences)
        extra = staged / "assets.extra"
        (extra / "model.json").write_text(f"{json.dumps(about, indent=1)}\n", encoding="utf-8")
        (extra / "model_card.md").write_text(model_card(about), encoding="utf-8")
        write_hashes(staged)
    return final


def write_ensemble(served: ServedEnsemble, folder: Path, name: str) -> None:
    """Writes the SavedModel with its signatures and their warm-up requests, unchecked.

    Args:
        served: what is exported.
        folder: of the version.
        name: name of the model on the server.
    """
    module = EnsembleModule(served)
    signatures = module.signatures()
    save_module(module.trackable(), signatures, folder)
    speaker = module.speakers.example() if module.speakers is not None else {}
    inputs = warmup_inputs(module.spec.sample_rate_hz, module.spec.dim, {}, speaker)
    write_warmup(folder, name, {key: inputs[key] for key in inputs if key in signatures})


def describe_ensemble(
    trained: TrainedEnsemble, name: str, differences: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Returns the description of an export, `model.json`, as plain values.

    It has the fields of `serving.export.export.describe`. Those about features and maps are of the
    leader, whose name is "explained_member"; "members" has all of them.
    """
    served, record, result = trained.served, trained.record, trained.result
    leader = trained.members[trained.leader]
    return {
        "name": name,
        "model": MODEL,
        "classes": list(served.leader.classes),
        "sample_rate_hz": served.spec.sample_rate_hz,
        "spec": served.spec.to_dict(),
        "map_geometry": map_geometry(leader.model).to_dict(),
        "streams": False,
        "tracks": list(served.tracks),
        "explained_member": trained.names[trained.leader],
        "members": [
            {
                "name": member_name,
                "model": member.record["config"]["model"]["name"],
                "weight": weight,
                "tracks": list(member.tracks),
                "spec": member.feature_set.schema.spec_name,
                "weights_sha256": member.record["weights_sha256"],
                "config": member.record["config"],
            }
            for member_name, weight, member in zip(
                trained.names, trained.weights, trained.members, strict=True
            )
        ],
        "dataset": leader.feature_set.schema.name,
        "corpus": leader.feature_set.schema.corpus,
        "fold": record["fold"],
        "protocol": trained.protocol.name,
        "shares_speakers": trained.protocol.shares_speakers,
        "fold_scores": {"ua": record["ua"], "wa": record["wa"]},
        "track": record["track"],
        "test_speakers": record["test_speakers"],
        "not_adapted": record["not_adapted"],
        "track_scores": record["tracks"],
        "pooled": result["pooled"],
        "best_member": result["best_member"],
        "calibration": trained.calibration,
        "sizes": record["sizes"],
        "parameters": record["parameters"],
        "weights_sha256": record["weights_sha256"],
        "config": leader.record["config"],
        "versions": result["versions"],
        "checked": differences,
    }
