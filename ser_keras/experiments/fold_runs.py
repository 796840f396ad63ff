"""Runs one fold of a cross-validation: chooses between recipes, trains and tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_keras import audit
from ser_keras.config import TrainConfig, load_config, recipe_names
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, WeightsError
from ser_keras.models import build_model
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.distribute import ALONE, Workers
from ser_keras.training.fold_training import Progress, resolved_options
from ser_keras.training.further_speech import FurtherSpeech
from ser_keras.training.trainer import FoldTrainer

FoldProgress = Callable[[str, int, int, Mapping[str, float]], None]
# Called with a sentence about where a run goes on.
Note = Callable[[str], None]


def print_nothing(sentence: str) -> None:
    """Takes a note that nobody reads."""


@dataclass(frozen=True)
class FoldRuns:
    """Runs folds of one feature set and protocol.

    Args:
        feature_set: features of the corpus.
        protocol: the folds' protocol.
        further: the further sets to train on.
        progress: called as (fold name, epoch, epochs, logs).
        workers: the processes that train together.
    """

    feature_set: FeatureSet
    protocol: Protocol
    further: FurtherSpeech
    progress: FoldProgress | None = None
    workers: Workers = ALONE

    def check_all(self, recipes: Mapping[str, TrainConfig], folds: Sequence[Fold]) -> None:
        """Raises the errors of all trainings' constructors before the first training starts."""
        for fold in folds:
            for config in recipes.values():
                self._trainer(config, fold, Path(), fold.name, fold)
                if len(recipes) > 1:
                    self._trainer(config, validation_fold(fold), Path(), fold.name, fold)

    def run(self, recipes: Mapping[str, TrainConfig], fold: Fold, folder: Path) -> dict[str, Any]:
        """Trains and tests a fold and returns its record.

        Args:
            recipes: one, or several for the fold's validation part to choose from.
            fold: the fold.
            folder: Path. The fold's folder.
        """
        name = next(iter(recipes))
        choice: dict[str, Any] = {}
        if len(recipes) > 1:
            name, choice = self._choose(recipes, fold, folder / "choice")
        record = self._trainer(recipes[name], fold, folder, fold.name, fold).run()
        return record | {"recipe": name, **choice}

    def _choose(
        self, recipes: Mapping[str, TrainConfig], fold: Fold, folder: Path
    ) -> tuple[str, dict[str, Any]]:
        """Returns (name of the recipe with the best UA on the fold's validation part, all UAs).

        The fold's test part has no influence: the inner folds do not contain it, and train on no
        speech of its speakers.
        """
        inner, ua = validation_fold(fold), {}
        for name, config in recipes.items():
            title = f"{fold.name}, choosing: {name}"
            ua[name] = self._trainer(config, inner, folder / name, title, fold).run()["ua"]
        return max(ua, key=lambda name: ua[name]), {"validation_ua": ua}

    def _trainer(
        self, config: TrainConfig, fold: Fold, folder: Path, title: str, outer: Fold
    ) -> FoldTrainer:
        return FoldTrainer(
            config,
            self.feature_set,
            self.protocol.class_set,
            fold,
            folder,
            named_progress(self.progress, title),
            further=self.further,
            withheld=outer.test,
            workers=self.workers,
        )


def validation_fold(fold: Fold) -> Fold:
    """Returns the fold with its validation part as test part, and without its own test part."""
    return replace(fold, valid=(), test=fold.valid)


def withheld_findings(records: Sequence[Mapping[str, Any]]) -> list[audit.Finding]:
    """Returns findings on what folds left out of further sets, see `audit.audit_unlabelled`."""
    return [
        finding
        for record in records
        for facts in (*record["unlabelled_sets"], *record.get("joint_sets", ()))
        for finding in audit.audit_unlabelled(record["fold"], facts["dataset"], facts["dropped"])
    ]


def note_finished(note: Note, output: Path, folds: Sequence[Fold]) -> None:
    """Says how many of the folds an earlier run has finished."""
    finished = sum((output / "folds" / fold.name / "fold.json").exists() for fold in folds)
    if finished == len(folds):
        note("All folds are finished; the result is written again.")
    elif finished:
        note(f"{finished} of {len(folds)} folds are finished and kept.")


def other_way(config: TrainConfig, feature_set: FeatureSet) -> str:
    """Returns how to use features that a recipe is not made for: what leads on, not to an error.

    Args:
        config: a recipe for other features.
        feature_set: the features that there are.
    """
    spec = feature_set.schema.spec_name
    try:
        options = resolved_options(config.model)
        build_model(config.model.name, num_classes=2, dim=feature_set.schema.dim, **options)
    except (ConfigError, WeightsError):
        names = [name for name in recipe_names() if load_config(name).spec == spec]
        recipes = f"a recipe for {spec}: {', '.join(names)}" if names else "another recipe"
        return f"give {recipes}; {config.model.name} cannot take {feature_set.schema.dim} values"
    return f"pass --set spec={spec}"


def named_progress(progress: FoldProgress | None, title: str) -> Progress | None:
    """Returns the function (epoch, epochs, logs) that calls `progress` with a title in front."""
    if progress is None:
        return None
    return lambda epoch, epochs, logs: progress(title, epoch, epochs, logs)
