"""How a fold of a cross-validation is run: which recipe, and what it may hear."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_keras import audit
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.distribute import ALONE, Workers
from ser_keras.training.trainer import FoldTrainer
from ser_keras.training.unlabelled import UnlabelledSpeech

FoldProgress = Callable[[str, int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class FoldRuns:
    """What all folds of a run have in common.

    Args:
        feature_set: features of the corpus.
        protocol: the folds' protocol.
        unlabelled: the unlabelled sets.
        progress: called as (fold name, epoch, epochs, logs).
        workers: the processes that train together.
    """

    feature_set: FeatureSet
    protocol: Protocol
    unlabelled: UnlabelledSpeech
    progress: FoldProgress | None = None
    workers: Workers = ALONE

    def refuse_early(self, recipes: Mapping[str, TrainConfig], folds: Sequence[Fold]) -> None:
        """Raises what any of the trainings would refuse, before hours of the others."""
        for fold in folds:
            for config in recipes.values():
                self._trainer(config, fold, Path(), fold.name, fold)
                if len(recipes) > 1:
                    self._trainer(config, validation_fold(fold), Path(), fold.name, fold)

    def run(self, recipes: Mapping[str, TrainConfig], fold: Fold, folder: Path) -> dict[str, Any]:
        """Trains and tests a fold and returns its record.

        Args:
            recipes: one, or several of which the fold's validation part chooses.
            fold: the fold.
            folder: Path. Of the fold.
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
        """Returns (name of the recipe with the best UA on the fold's validation part, all the UAs).

        The fold's test part takes no part in it: the inner folds do not contain it, and train on
        nothing of its speakers.
        """
        inner, ua = validation_fold(fold), {}
        for name, config in recipes.items():
            about = f"{fold.name}, choosing: {name}"
            ua[name] = self._trainer(config, inner, folder / name, about, fold).run()["ua"]
        return max(ua, key=lambda name: ua[name]), {"validation_ua": ua}

    def _trainer(
        self, config: TrainConfig, part: Fold, folder: Path, about: str, outer: Fold
    ) -> FoldTrainer:
        return FoldTrainer(
            config,
            self.feature_set,
            self.protocol.class_set,
            part,
            folder,
            named_progress(self.progress, about),
            unlabelled=self.unlabelled,
            withheld=outer.test,
            workers=self.workers,
        )


def validation_fold(fold: Fold) -> Fold:
    """Returns the fold that is tested on its validation part, and does not know its test part."""
    return replace(fold, valid=(), test=fold.valid)


def left_out(records: Sequence[Mapping[str, Any]]) -> list[audit.Finding]:
    """Returns what folds left out of their unlabelled sets, see `audit.audit_unlabelled`."""
    return [
        finding
        for record in records
        for other in record["unlabelled_sets"]
        for finding in audit.audit_unlabelled(record["fold"], other["dataset"], other["dropped"])
    ]


def named_progress(progress: FoldProgress | None, fold: str) -> Any:
    """Returns what a trainer calls, (epoch, epochs, logs), for a progress that wants a name."""
    if progress is None:
        return None
    return lambda epoch, epochs, logs: progress(fold, epoch, epochs, logs)
