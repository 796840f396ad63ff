"""Cross-validation: trains and tests all folds of a protocol, and summarises them in one result."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ser_keras import audit, metrics
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments import provenance
from ser_keras.experiments.fold_runs import (
    FoldProgress,
    FoldRuns,
    Note,
    note_finished,
    other_way,
    print_nothing,
    withheld_findings,
)
from ser_keras.experiments.provenance import (
    BLIND_RESULT,
    class_set_dict,
    feature_facts,
    finding_dict,
    protocol_facts,
)
from ser_keras.experiments.run_result import cost_of, not_adapted, read_scores
from ser_keras.files import write_json, write_text
from ser_keras.models import check_objective
from ser_keras.protocols import Fold, Protocol, choose_folds
from ser_keras.settings import differences
from ser_keras.training.distribute import ALONE, Workers
from ser_keras.training.further_speech import FurtherSpeech
from ser_keras.training.trainer import scores_name


def run_crossval(
    recipes: Mapping[str, TrainConfig],
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
    joint_sets: Sequence[FeatureSet] = (),
    searched: Sequence[Fold] = (),
    command: str = "",
    progress: FoldProgress | None = None,
    note: Note = print_nothing,
    workers: Workers = ALONE,
) -> dict[str, Any]:
    """Trains and tests the folds of a protocol, writes `result.json` and returns the result.

    With several recipes the cross-validation is nested: each fold trains all of them without its
    validation part and takes the one with the best UA there. That one is trained on the training
    and the validation part, and its test part is scored once.

    Finished folds in `output` are kept, and an interrupted one is resumed.

    Args:
        recipes: mapping of name to configuration; one, or several to choose from.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. The run's folder.
        folds: names of the folds to run; all when empty.
        unlabelled_sets: further features, trained on without labels. A fold leaves out those of its
            test part, see `FoldParts`; the result lists them.
        joint_sets: further features, trained on with their labels in a share of the batches, see
            `adaptation.joint_share`. A fold leaves out the same of them.
        searched: folds on which a search chose the recipes' settings, see `searched_folds`.
        command: the command line, for the record.
        progress: called as (fold name, epoch, epochs, logs).
        note: called with a sentence where an earlier run has finished folds.
        workers: the processes that train together; each but the chief with an `output` of its own.

    Raises:
        LeakageError: the audit of protocol, data and settings found a leak, or a fold may train on
            nothing of an unlabelled set.
        ConfigError: unknown fold, a spec a recipe was not made for, speech without labels for a
            model that learns from labels alone, or several recipes of which one chooses its epoch
            on the validation part that chooses the recipe.
        SchemaError: an unlabelled set of other features, or `output` holds folds of another
            configuration, protocol, feature set or other unlabelled sets.
    """
    for config in recipes.values():
        check_spec(config, feature_set)
        check_objective(config.model.name, config.objective)
    provenance.git_commit()
    chosen = choose_folds(protocol, folds)
    findings = [
        *audit.audit_rows(protocol, feature_set.rows),
        *audit.audit_settings(chosen, searched, feature_set.rows),
    ]
    audit.enforce(findings)
    runs = FoldRuns(
        feature_set,
        protocol,
        FurtherSpeech(feature_set, tuple(unlabelled_sets), tuple(joint_sets)),
        progress,
        workers,
    )
    runs.check_all(recipes, chosen)
    prepare_output(recipes, protocol, output)
    note_finished(note, output, chosen)
    records = [runs.run(recipes, fold, output / "folds" / fold.name) for fold in chosen]
    findings += withheld_findings(records)
    summary = partial(
        summarize_run, recipes, feature_set, protocol, output, records, findings, command
    )
    result = summary()
    write_json(output / "result.json", result)
    if "blind" in recipes[records[0]["recipe"]].tracks[1:]:
        write_json(output / BLIND_RESULT, summary("blind"))
    return result


def check_spec(config: TrainConfig, feature_set: FeatureSet) -> None:
    """Raises ConfigError if the features are not of the spec that the recipe was made for."""
    spec = feature_set.schema.spec_name
    if spec != config.spec:
        raise ConfigError(
            f"{feature_set.path}: holds features {spec!r}, the recipe expects {config.spec!r}. "
            f"Run: ser features --spec {config.spec} ..., or {other_way(config, feature_set)}."
        )


def prepare_output(recipes: Mapping[str, TrainConfig], protocol: Protocol, output: Path) -> None:
    """Writes the resolved recipes and the folds, and refuses a folder of another run.

    Raises:
        ConfigError: several recipes, one of which needs the validation part for its epoch.
        SchemaError: the folder holds a run of another protocol.
    """
    validating = [name for name, config in recipes.items() if config.select != "last"]
    if len(recipes) > 1 and validating:
        raise ConfigError(
            f"recipe {validating[0]}: chooses its epoch on the validation part, which here chooses "
            "the recipe. Give recipes with fixed epochs: --set select=last."
        )
    stored = output / "protocol.json"
    if stored.exists():
        before = Protocol.load(stored)
        if before.sha256 != protocol.sha256:
            changed = differences(_protocol_settings(before), _protocol_settings(protocol))
            raise SchemaError(
                f"{output}: holds a run of another protocol "
                f"({'; '.join(changed) or 'other recordings in its folds'}). Choose another "
                "--output."
            )
    output.mkdir(parents=True, exist_ok=True)
    protocol.save(stored)
    for name, config in recipes.items():
        write_config(output / "recipes" / f"{name}.yaml", config)


def _protocol_settings(protocol: Protocol) -> dict[str, Any]:
    """Returns what a user chooses of a protocol, as plain values."""
    return {
        "protocol": protocol.name,
        "class set": protocol.class_set.name,
        "seed": protocol.seed,
        "folds": len(protocol.folds),
    }


def write_config(path: Path, config: TrainConfig) -> None:
    """Writes a configuration as the YAML that `--recipe` takes."""
    write_text(path, yaml.safe_dump(config.to_dict(), sort_keys=False))


def pooled_scores(
    folder: Path, records: Sequence[Mapping[str, Any]], track: str | None = None
) -> dict[str, np.ndarray]:
    """Returns keys, classes and probabilities of all scored parts, one after the other.

    Args:
        folder: Path. Holds a folder per fold.
        records: of the folds, in this order.
        track: str or None. The recipe's own where it is None.

    Raises:
        SchemaError: the scores of a fold are missing, empty or damaged.
    """
    parts = []
    for record in records:
        own_track = record.get("track", "blind")
        name = scores_name(track or own_track, own_track)
        parts.append(read_scores(folder / record["fold"] / name))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def summarize_run(
    recipes: Mapping[str, TrainConfig],
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    records: Sequence[Mapping[str, Any]],
    findings: Sequence[audit.Finding],
    command: str,
    track: str | None = None,
) -> dict[str, Any]:
    """Returns the scores with all facts that a reader needs to judge and repeat them.

    Scores are pooled over all test utterances, with mean and deviation over folds beside them.
    Intervals come from resampling whole speakers.
    """
    config = recipes[records[0]["recipe"]]
    track = track or config.track
    scores = pooled_scores(output / "folds", records, track)
    by_track = [record.get("tracks", {}).get(track, record) for record in records]
    speaker_of = {row.key: row.speaker for row in feature_set.rows}
    speakers = [speaker_of[key] for key in scores["keys"]]
    classes = protocol.class_set.classes
    truth, probabilities = scores["classes"], scores["probabilities"]
    predicted = probabilities.argmax(axis=1)
    fell_back = not_adapted(records) if track == "adapted" else []
    tested = sorted({name for record in records for name in record["test_speakers"]})
    known = audit.audit_track(track, tested, fell_back, config.adaptation.least_s)
    return {
        "model": config.model.name,
        "settings": config.settings,
        "track": track,
        "not_adapted": fell_back,
        "chosen": len(recipes) > 1,
        "dataset": feature_set.schema.name,
        "corpus": feature_set.schema.corpus,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol) | {"folds_run": len(records)},
        "epoch_chosen_by": config.select,
        "pooled": metrics.summarize(truth, probabilities, speakers, classes),
        "by_speaker": metrics.confusion_by_speaker(truth, predicted, speakers, len(classes)),
        "reliability": metrics.reliability(truth, probabilities),
        "over_folds": {
            name: _spread([scored[name] for scored in by_track]) for name in ("wa", "ua")
        },
        "cost": cost_of(config, feature_set, protocol, records),
        "weights": records[0]["weights"],
        "features": feature_facts(feature_set),
        "audit": [finding_dict(finding) for finding in (*findings, known)],
        "recipes": {name: recipe.to_dict() for name, recipe in recipes.items()},
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
        "folds": [
            {name: value for name, value in (record | scored).items() if name != "config"}
            for record, scored in zip(records, by_track, strict=True)
        ],
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}
