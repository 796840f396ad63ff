"""Studies: one key of a recipe takes each of several values, and all else stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras.config import TrainConfig, load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import pooled_scores
from ser_keras.experiments.fold_runs import FoldProgress
from ser_keras.experiments.provenance import class_set_dict, protocol_facts
from ser_keras.files import parse_yaml, write_json
from ser_keras.metrics import recall_per_class, weighted_accuracy
from ser_keras.protocols import Fold, Protocol, choose_folds
from tuning.search import check_data
from tuning.search_folder import claim
from tuning.trial import run_trial, trial_config

CRITERIA = ("ua", "wa")


@dataclass(frozen=True)
class Line:
    """One line of a study's figure.

    Args:
        about: str. What is varied.
        key: str. Of the recipe.
        unit: str. Of the values.
        values: tuple. What the key is set to.
        fixed: mapping. Other keys that differ from the recipe on this line.
    """

    about: str
    key: str
    unit: str
    values: tuple[Any, ...]
    fixed: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A study: the recipe it starts from, and its lines.

    Args:
        name: str.
        paper: str. What the paper says of what is varied, and where.
        recipe: str. Name or file.
        lines: tuple of Line.
        criterion: str. The validation score by which the best value of each line is chosen: "ua",
            the unweighted accuracy (mean recall of the classes), or "wa", the weighted accuracy
            (share of all utterances that are right).
    """

    name: str
    paper: str
    recipe: str
    lines: tuple[Line, ...]
    criterion: str = "ua"


def study_names() -> list[str]:
    """Returns the studies there are."""
    folder = resources.files("tuning") / "studies"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir())


def load_study(name: str, recipe: str | None = None, only: Sequence[Any] = ()) -> Study:
    """Returns a study, on its own recipe or on another one of the same model.

    Args:
        name: str. One of `study_names()`.
        recipe: str or None. Name or file; the study's own where None.
        only: values. Others of the lines are left out; all stay when empty.

    Raises:
        ConfigError: no such study, a value that no line has, or a key or value that the recipe
            cannot have.

    Example:
        >>> study = load_study("moma_blocks")
        >>> study.recipe, study.lines[0].values
        ('moma-small', (1, 2, 3, 5))
    """
    if name not in study_names():
        raise ConfigError(unknown_name("study", name, study_names()))
    text = (resources.files("tuning") / "studies" / f"{name}.yaml").read_text(encoding="utf-8")
    values = parse_yaml(text)
    criterion = values.get("criterion", "ua")
    if criterion not in CRITERIA:
        raise ConfigError(f"study {name}: {unknown_name('criterion', str(criterion), CRITERIA)}")
    lines = tuple(
        Line(about, line["key"], line["unit"], tuple(line["values"]), line.get("fixed", {}))
        for about, line in values["lines"].items()
    )
    if only:
        lines = _with_values(name, lines, only)
    study = Study(name, values["paper"], recipe or values["recipe"], lines, criterion)
    for line in lines:
        for value in line.values:
            trial_config(study.recipe, dict(line.fixed) | {line.key: value}, ())
    return study


def _with_values(name: str, lines: Sequence[Line], only: Sequence[Any]) -> tuple[Line, ...]:
    """Returns the lines with these values alone; lines that have none of them are left out."""
    known = sorted({value for line in lines for value in line.values}, key=_in_order)
    for value in only:
        if value not in known:
            raise ConfigError(f"study {name}: found value {value!r}, expected some of {known}.")
    short = (
        replace(line, values=tuple(value for value in line.values if value in only))
        for line in lines
    )
    return tuple(line for line in short if line.values)


def _in_order(value: Any) -> tuple[float, str]:
    """Returns a key that sorts numbers by size, and before them all else by its text."""
    number = isinstance(value, int | float)
    return (float(value), "") if number else (float("-inf"), str(value))


def run_study(
    study: Study,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    folds: Sequence[str],
    changes: Sequence[str] = (),
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Trains at every value and scores the folds' validation parts; continues after a kill.

    Test parts are neither trained on nor scored: a study may lead to a choice.

    Args:
        study: what is varied.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. A folder for each value inside.
        folds: names of the folds whose validation speakers judge.
        changes: `key=value`, of every training.
        command: what the user typed, for the record.
        progress: called as (value and fold, epoch, epochs, logs).

    Returns:
        dict ready for JSON, also in `study.json`: "criterion", and "lines", each with its points'
        value, UA (mean over folds), WA and recall of every class (both pooled over folds; None for
        a class that is not there) and number of parameters, and with the value that was "chosen":
        the one of the highest criterion, the first of equals.

    Raises:
        LeakageError: the audit of protocol and data found a leak.
        ConfigError: an unknown fold or key, or features that the recipe is not made for.
        SchemaError: `output` holds another study.
    """
    config = load_config(study.recipe, list(changes))
    check_data(config, feature_set, protocol)
    asked = {
        "study": study.name,
        "recipe": study.recipe,
        "folds": list(folds),
        "changes": list(changes),
        "protocol": protocol_facts(protocol),
        "features": feature_set.manifest["fingerprint"],
    }
    claim(output, "a study", asked)
    chosen = choose_folds(protocol, folds)
    lines = []
    for line in study.lines:
        folder = output / line.about.replace(",", "").replace(" ", "-")
        points = []
        for value in line.values:
            values = dict(line.fixed) | {line.key: value}
            trial = trial_config(study.recipe, values, changes)
            about = (trial, values, feature_set, protocol, chosen, folder / str(value), progress)
            points.append({"value": value} | _scores_of_trial(*about))
        best = max(points, key=lambda point: point[study.criterion])
        lines.append(
            {"about": line.about, "unit": line.unit, "key": line.key, "fixed": dict(line.fixed)}
            | {"points": points, "chosen": best["value"]}
        )
    result = asked | {
        "paper": study.paper,
        "criterion": study.criterion,
        "model": config.model.name,
        "epochs": config.epochs,
        "track": config.track,
        "dataset": feature_set.schema.name,
        "class_set": class_set_dict(protocol.class_set),
        "lines": lines,
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
    }
    write_json(output / "study.json", result)
    return result


def _scores_of_trial(
    config: TrainConfig,
    values: Mapping[str, Any],
    feature_set: FeatureSet,
    protocol: Protocol,
    folds: Sequence[Fold],
    folder: Path,
    progress: FoldProgress | None,
) -> dict[str, Any]:
    """Trains at one value; returns its scores, with None as recall of a class that is not there."""
    record = run_trial(config, values, feature_set, protocol, folds, folder, progress, prunes=False)
    scores, classes = pooled_scores(folder, record["folds"]), protocol.class_set.classes
    predicted = scores["probabilities"].argmax(axis=1)
    recalls = recall_per_class(scores["classes"], predicted, len(classes))
    named = zip(classes, recalls, strict=True)
    return {
        "ua": record["ua"],
        "wa": weighted_accuracy(scores["classes"], predicted),
        "recalls": {
            name: None if np.isnan(recall) else round(float(recall), 4) for name, recall in named
        },
        "parameters": record["parameters"],
        "train_seconds": record["train_seconds"],
    }
