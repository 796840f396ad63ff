"""All folds of a protocol, one after the other, into one result that says what it is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ser_keras import audit, metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.labels import ClassSet
from ser_keras.models import build_model, multiply_accumulates
from ser_keras.protocols import Fold, Protocol
from ser_keras.training import provenance
from ser_keras.training.checkpoint import write_atomic, write_json
from ser_keras.training.config import TrainConfig
from ser_keras.training.trainer import FoldTrainer, resolved_options

FoldProgress = Callable[[str, int, int, Mapping[str, float]], None]


def run_crossval(
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    folds: Sequence[str] = (),
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Trains and tests the folds of a protocol and returns the result, also in `result.json`.

    Finished folds in `output` are taken as they are, an interrupted one goes on where it stopped.

    Args:
        config: the run.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. The run's folder.
        folds: names of the folds to run; all when empty.
        command: what the user typed, for the record.
        progress: called as (fold name, epoch, epochs, logs).

    Raises:
        LeakageError: the audit of protocol and data found a leak.
        ConfigError: unknown fold, or a spec the recipe was not made for.
        SchemaError: `output` holds another configuration's or protocol's folds.
    """
    check_spec(config, feature_set)
    provenance.git_commit()
    findings = [
        *audit.audit_audio(feature_set.rows),
        *audit.audit_protocol(protocol, feature_set.rows),
    ]
    audit.enforce(findings)
    prepare_output(config, protocol, output)
    records = []
    for fold in choose_folds(protocol, folds):
        trainer = FoldTrainer(
            config,
            feature_set,
            protocol.class_set,
            fold,
            output / "folds" / fold.name,
            _named(progress, fold.name),
        )
        records.append(trainer.run())
    result = summarize_run(config, feature_set, protocol, output, records, findings, command)
    write_json(output / "result.json", result)
    return result


def check_spec(config: TrainConfig, feature_set: FeatureSet) -> None:
    """Raises ConfigError where the features are not of the spec the recipe was made for."""
    found = feature_set.schema.spec_name
    if found != config.spec:
        raise ConfigError(
            f"{feature_set.path}: holds features {found!r}, the recipe expects {config.spec!r}. "
            f"Run: ser features --spec {config.spec} ..., or pass --set spec={found}."
        )


def choose_folds(protocol: Protocol, names: Sequence[str]) -> list[Fold]:
    """Returns the folds called `names`, in the protocol's order; all when `names` is empty."""
    known = [fold.name for fold in protocol.folds]
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name(f"fold of {protocol.name}", name, known))
    return [fold for fold in protocol.folds if not names or fold.name in names]


def prepare_output(config: TrainConfig, protocol: Protocol, output: Path) -> None:
    """Writes the resolved configuration and the folds, and refuses a folder of another run."""
    stored = output / "protocol.json"
    if stored.exists():
        before = Protocol.load(stored)
        if before.sha256 != protocol.sha256:
            raise SchemaError(
                f"{output}: holds a run of protocol {before.name} ({before.sha256[:12]}), now "
                f"asked for {protocol.name} ({protocol.sha256[:12]}). Choose another --output."
            )
    output.mkdir(parents=True, exist_ok=True)
    protocol.save(stored)
    text = yaml.safe_dump(config.to_dict(), sort_keys=False)
    write_atomic(output / "config.yaml", lambda file: file.write(text.encode()))


def _named(progress: FoldProgress | None, fold: str) -> Any:
    if progress is None:
        return None
    return lambda epoch, epochs, logs: progress(fold, epoch, epochs, logs)


def pooled_scores(output: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns keys, classes and probabilities of all test parts, one after the other."""
    parts = []
    for record in records:
        with np.load(
            output / "folds" / record["fold"] / "scores.npz", allow_pickle=False
        ) as stored:
            parts.append({name: stored[name] for name in stored.files})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def class_set_dict(class_set: ClassSet) -> dict[str, Any]:
    """Returns name, order and merged labels as plain values."""
    return {
        "name": class_set.name,
        "classes": list(class_set.classes),
        "merge": dict(class_set.merge),
    }


def summarize_run(
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    records: Sequence[Mapping[str, Any]],
    findings: Sequence[audit.Finding],
    command: str,
) -> dict[str, Any]:
    """Returns everything a reader must know of the number, see `models.md` of any honest paper.

    Scores are pooled over all test utterances; mean and deviation over folds stand beside them,
    the interval comes from resampling whole speakers.
    """
    scores = pooled_scores(output, records)
    speaker_of = {row.key: row.speaker for row in feature_set.rows}
    speakers = [speaker_of[key] for key in scores["keys"]]
    classes = protocol.class_set.classes
    return {
        "model": config.model.name,
        "dataset": feature_set.schema.name,
        "corpus": feature_set.schema.corpus,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol) | {"folds_run": len(records)},
        "epoch_chosen_by": config.select,
        "pooled": metrics.summarize(scores["classes"], scores["probabilities"], speakers, classes),
        "over_folds": {
            name: _spread([record[name] for record in records]) for name in ("wa", "ua")
        },
        "cost": _cost(config, feature_set, protocol, records),
        "weights": records[0]["weights"],
        "features": _feature_facts(feature_set),
        "audit": [vars(finding) | {"keys": list(finding.keys)[:10]} for finding in findings],
        "config": config.to_dict(),
        "config_sha256": config.sha256,
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
        "folds": list(records),
    }


def protocol_facts(protocol: Protocol) -> dict[str, Any]:
    """Returns what a reader must know of the protocol, and the hash that names its folds."""
    return {
        "name": protocol.name,
        "sha256": protocol.sha256,
        "seed": protocol.seed,
        "shares_speakers": protocol.shares_speakers,
        "shares_sentences": protocol.shares_sentences,
        "folds": len(protocol.folds),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def _feature_facts(feature_set: FeatureSet) -> dict[str, Any]:
    return {
        "spec_name": feature_set.schema.spec_name,
        "spec": feature_set.schema.spec,
        "fingerprint": feature_set.manifest["fingerprint"],
        "records": feature_set.manifest["num_records"],
        "dead": feature_set.manifest["num_dead"],
    }


def _cost(
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Returns parameters, training time, and the multiply-accumulates of a median utterance."""
    frames = int(np.median([row.frames for row in feature_set.rows]))
    model = build_model(
        config.model.name,
        num_classes=len(protocol.class_set.classes),
        dim=feature_set.schema.dim,
        **resolved_options(config.model),
    )
    return {
        "parameters": records[0]["parameters"],
        "multiply_accumulates": multiply_accumulates(model, frames),
        "at_frames": frames,
        "train_seconds": round(sum(record["train_seconds"] for record in records), 1),
    }
