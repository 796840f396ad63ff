"""Scores a trained model again, on its own test part or on other features."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from ser_keras import metrics
from ser_keras.config import TrainConfig, config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import FoldPart
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.experiments.crossval import check_spec
from ser_keras.labels import ClassSet
from ser_keras.models import load_model
from ser_keras.protocols import Protocol, choose_folds
from ser_keras.training.history import read_fold_record
from ser_keras.training.predict import predict


def trained_folds(run: Path) -> list[str]:
    """Returns the names of the folds in `run` whose training has ended.

    Raises:
        ConfigError: `run` is not a folder of a run, or none has ended.
    """
    names = sorted(path.parent.name for path in run.glob("folds/*/fold.json"))
    if not names:
        raise ConfigError(
            f"{run}: found no trained fold, expected folds/<name>/fold.json. Give the --output "
            "folder of ser train or ser crossval."
        )
    return names


@dataclass(frozen=True)
class TrainedFold:
    """A trained model and the utterances to score, as `open_fold` returns them.

    Args:
        name: str. Name of the fold.
        config: the configuration of its training.
        class_set: the classes and their order.
        feature_set: the features.
        part: the utterances to score.
        model: keras.Model.
    """

    name: str
    config: TrainConfig
    class_set: ClassSet
    feature_set: FeatureSet
    part: FoldPart
    model: keras.Model


def open_fold(run: Path, features: Path, fold: str, *, whole: bool = False) -> TrainedFold:
    """Returns a fold's model, with its own test part or with every utterance of the features.

    Args:
        run: folder of `ser train` or `ser crossval`.
        features: output folder of `ser features`.
        fold: name of a trained fold.
        whole: take every utterance of the class set instead of the fold's test part.

    Raises:
        ConfigError: unknown fold, or the run is an ensemble.
        SchemaError: features of another spec.
    """
    names = trained_folds(run)
    if fold not in names:
        raise ConfigError(unknown_name("trained fold", fold, names))
    record = read_fold_record(run / "folds" / fold / "fold.json")
    if members := record.get("members"):
        raise ConfigError(
            f"{run}: is an ensemble and has no model of its own. Give the run of one member: "
            f"{', '.join(str(run / member['run']) for member in members)}."
        )
    config = config_from_dict(record["config"], where=f"fold.json of {fold}")
    protocol = Protocol.load(run / "protocol.json")
    feature_set = FeatureSet.open(features)
    check_spec(config, feature_set)
    rows = {row.key: row for row in feature_set.rows}
    keys = _usable(feature_set, protocol) if whole else choose_folds(protocol, [fold])[0].test
    class_of = {key: protocol.class_set.index(rows[key].label) for key in keys if key in rows}
    part = FoldPart(feature_set, class_of if whole else dict.fromkeys(keys, -1) | class_of)
    model = load_model(run / "folds" / fold / "model.keras", config.model.name)
    return TrainedFold(fold, config, protocol.class_set, feature_set, part, model)


def evaluate_run(
    run: Path, features: Path, *, fold: str | None = None, whole: bool = False
) -> dict[str, Any]:
    """Returns the summary of a trained fold's scores.

    Args:
        run: folder of `ser train` or `ser crossval`.
        features: output folder of `ser features`.
        fold: the fold whose model is scored; needed only if there are several.
        whole: score every utterance of the class set instead of the fold's test part.

    Raises:
        ConfigError: unknown or ambiguous fold.
        SchemaError: features of another spec.
    """
    names = trained_folds(run)
    if fold is None and len(names) > 1:
        raise ConfigError(f"{run}: has folds {', '.join(names)}; say which with --fold.")
    trained = open_fold(run, features, fold or names[0], whole=whole)
    config = trained.config
    scores = predict(
        trained.model, trained.part, config.batch, config.track, config.adaptation.least_s
    )
    speaker_of = {row.key: row.speaker for row in trained.feature_set.rows}
    return {
        "fold": trained.name,
        "scored": "every utterance of the features" if whole else "the fold's test part",
        "dataset": trained.feature_set.schema.name,
        "track": config.track,
    } | metrics.summarize(
        scores.classes,
        scores.probabilities,
        [speaker_of[key] for key in scores.keys],
        trained.class_set.classes,
    )


def _usable(feature_set: FeatureSet, protocol: Protocol) -> list[str]:
    return [row.key for row in feature_set.rows if protocol.class_set.class_of(row.label)]
