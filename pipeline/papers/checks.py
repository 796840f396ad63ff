"""The checks of `ser reproduce` before training: every model, file, fold and feature set.

A table takes days, so a mistake in its last row is found before the first row is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from pipeline.papers.experiment import Experiment, Variant
from ser_keras.config import TrainConfig, load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.experiments.crossval import check_spec, prepare_output
from ser_keras.features.specs import get_spec
from ser_keras.files import parse_json
from ser_keras.models import build_model, check_objective, objective_of
from ser_keras.models.weights.identify import models_for
from ser_keras.models.weights.pretrained import load_pretrained
from ser_keras.protocols import Fold, Protocol, build_protocol, choose_folds
from ser_keras.settings import differences
from ser_keras.training.checkpoint import check_identity
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.fold_training import resolved_options
from ser_keras.training.further_speech import FurtherSpeech
from ser_keras.training.history import read_fold_record
from ser_keras.training.optimizer import make_optimizer
from ser_keras.training.step import TrainingModel


@dataclass(frozen=True)
class PlannedRow:
    """A row that will be trained.

    Args:
        variant: the row.
        recipe: str. Name of its recipe.
        config: its configuration, with the weights file that it starts from.
        output: Path. Folder of its run.
    """

    variant: Variant
    recipe: str
    config: TrainConfig
    output: Path


def plan_rows(
    experiment: Experiment,
    variants: Sequence[Variant],
    changes: Sequence[str],
    weights: Sequence[Path],
    output: Path,
) -> tuple[list[PlannedRow], dict[str, str]]:
    """Returns the rows that can be trained, and why the others cannot.

    Args:
        experiment: the paper's experiment.
        variants: the requested rows.
        changes: `key=value` on every recipe.
        weights: files of ImageNet weights, for the rows that start from them.
        output: Path. Folder of the experiment.

    Returns:
        (rows, mapping of the names of the other variants to the reasons).

    Raises:
        ConfigError: a change that no recipe knows, a file that no row uses, or two files for one
            model.
        WeightsError: a file that cannot be read.
    """
    file_of = files_by_model(experiment, weights)
    rows, reasons = [], {}
    for variant in variants:
        recipe = variant.recipe or experiment.recipe
        config = load_config(recipe, [*variant.changes, *changes])
        if variant.pretrained:
            model = config.model.name
            if model not in file_of:
                reasons[variant.name] = f"not run: needs --weights with ImageNet's for {model}"
                continue
            config = replace(config, model=replace(config.model, weights=str(file_of[model])))
        rows.append(PlannedRow(variant, recipe, config, output / folder_of(variant.name)))
    return rows, reasons


def files_by_model(experiment: Experiment, weights: Sequence[Path]) -> dict[str, Path]:
    """Returns the weights file of each of the experiment's pretrained models.

    Raises:
        ConfigError: no row of the experiment uses a file, or two files are for one model.
        WeightsError: a file that cannot be read.
    """
    pretrained = {
        load_config(variant.recipe or experiment.recipe).model.name
        for variant in experiment.variants
        if variant.pretrained
    }
    file_of: dict[str, Path] = {}
    for path in weights:
        models = pretrained.intersection(models_for(path))
        if not models:
            raise ConfigError(
                f"--weights {path}: no row of {experiment.system} on {experiment.corpus} starts "
                "from such a file. Leave it out."
            )
        for model in models:
            if model in file_of:
                raise ConfigError(
                    f"--weights: found {file_of[model]} and {path} for {model}, expected one file. "
                    "Leave one out."
                )
            file_of[model] = path
    return file_of


def check_model(row: PlannedRow, num_classes: int) -> None:
    """Builds a row's model, loads its weights file, and sets up its training step.

    Raises:
        ConfigError: an invalid option of the model, the objective or the optimizer.
        WeightsError: the file does not fit the model.
    """
    try:
        _set_up(row.config, num_classes)
    except SerError as error:
        raise type(error)(f"row {row.variant.name!r}: {error}") from error
    finally:
        keras.backend.clear_session()


def _set_up(config: TrainConfig, num_classes: int) -> None:
    check_objective(config.model.name, config.objective)
    model = build_model(
        config.model.name,
        num_classes=num_classes,
        dim=get_spec(config.spec).dim,
        **resolved_options(config.model),
    )
    if config.model.weights is not None:
        load_pretrained(config.model.name, model, config.model.weights)
    make_optimizer(config.optimizer, steps_per_epoch=1, epochs=config.epochs)
    TrainingModel(
        model,
        objective_of(config.model.name),
        label_smoothing=config.optimizer.label_smoothing,
        **config.objective,
    )


def check_data(
    experiment: Experiment,
    row: PlannedRow,
    feature_set: FeatureSet,
    *,
    folds: Sequence[str],
    class_set: str | None,
    unlabelled: Sequence[FeatureSet],
) -> Protocol:
    """Returns the protocol of a row, after checking features, folds and the row's folder.

    Raises:
        ConfigError: features of another spec, an unknown fold, a class without utterances, or a
            part of a fold without a recording that is long enough.
        LeakageError: an unlabelled set from which a fold may use nothing.
        SchemaError: an unlabelled set with other features, or a folder with another run.
    """
    check_spec(row.config, feature_set)
    for unlabelled_set in unlabelled if row.variant.unlabelled else ():
        unlabelled_set.require(spec_name=row.config.spec)
    protocol = build_protocol(experiment.protocol, feature_set.rows, class_set=class_set)
    speech = FurtherSpeech(feature_set, tuple(unlabelled) if row.variant.unlabelled else ())
    _refuse_other_run(row)
    for fold in choose_folds(protocol, folds):
        _refuse_empty_parts(row, fold, feature_set)
        parts = FoldParts(row.config, feature_set, protocol.class_set, fold, speech)
        _refuse_other_fold(row, fold, parts.identity())
    prepare_output({row.recipe: row.config}, protocol, row.output)
    return protocol


def finished_result(
    output: Path, config: TrainConfig, recipe: str, protocol: Protocol
) -> dict[str, Any] | None:
    """Returns a row's result from an earlier call, None if it is missing or has other settings."""
    try:
        result = parse_json((output / "result.json").read_text(encoding="utf-8"))
        same = _training_settings(result["recipes"][recipe]) == _training_settings(config.to_dict())
        return result if same and result["protocol"]["sha256"] == protocol.sha256 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def folder_of(name: str) -> str:
    """Returns the folder name of a row.

    Example:
        >>> folder_of("windows of 0.5 s, without attention")
        'windows-of-0.5-s-without-attention'
    """
    return "-".join("".join(c if c.isalnum() or c in ".-" else " " for c in name).split())


def _refuse_empty_parts(row: PlannedRow, fold: Fold, feature_set: FeatureSet) -> None:
    """Refuses a fold without recordings for training, for choosing the epoch, or for testing."""
    least_s = row.config.batch.drop_shorter_s
    kept = {item.key for item in feature_set.rows if item.duration_s >= least_s}
    parts = {"train": fold.train, "test": fold.test}
    if row.config.select == "validation":
        parts["valid"] = fold.valid
    for part, keys in parts.items():
        if not kept.intersection(keys):
            raise ConfigError(
                f"row {row.variant.name!r}, fold {fold.name}: found no recording of {least_s:g} s "
                f"or more among the {len(keys)} of its part {part!r}, expected some. Use the whole "
                "corpus, or pass --set batch.drop_shorter_s=0."
            )


def _refuse_other_run(row: PlannedRow) -> None:
    """Refuses a folder whose folds were trained with other settings."""
    for path in sorted(row.output.glob("folds/*/fold.json")):
        stored = read_fold_record(path)["config"]
        if _training_settings(stored) != _training_settings(row.config.to_dict()):
            changed = differences(stored, row.config.to_dict(), ignored=["settings"])
            raise SchemaError(
                f"{path}: made with another configuration than row {row.variant.name!r} has "
                f"({'; '.join(changed)}). Choose another --output, or remove {row.output}."
            )


def _refuse_other_fold(row: PlannedRow, fold: Fold, identity: Mapping[str, str]) -> None:
    """Refuses a finished fold that was trained on other features or other unlabelled speech."""
    path = row.output / "folds" / fold.name / "fold.json"
    if path.exists():
        check_identity(path, read_fold_record(path), identity, row.config.to_dict())


def _training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration without the key `settings`, which does not affect training."""
    return {key: value for key, value in config.items() if key != "settings"}
