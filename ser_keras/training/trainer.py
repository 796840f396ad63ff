"""Trains and tests one fold, or takes over what an earlier run of the same fold has finished."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ser_keras import audit, metrics
from ser_keras.adaptation.speakers import speakers_below
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.files import write_atomic, write_json
from ser_keras.labels import ClassSet
from ser_keras.protocols import Fold
from ser_keras.training.checkpoint import Checkpoint, check_identity, weights_sha256
from ser_keras.training.distribute import ALONE, Workers
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.fold_training import FoldTraining, Progress, precision
from ser_keras.training.further_speech import FurtherSpeech
from ser_keras.training.history import read_fold_record
from ser_keras.training.predict import Scores, predict


class FoldTrainer:
    """One fold of one configuration, from features on disk to scores of its test part.

    Args:
        config: the run.
        feature_set: the features.
        class_set: the classes and their order.
        fold: the keys of the three parts.
        folder: Path. Everything of this fold is written here.
        progress: called as (epoch, epochs, logs), see `FoldTraining`.
        further: further feature sets, trained on without labels or with.
        withheld: see `FoldParts`.
        workers: the processes that train this fold together.

    Raises:
        ConfigError: speech without labels, and a model that learns from labels alone.
        LeakageError: nothing is left of a further set.
    """

    def __init__(
        self,
        config: TrainConfig,
        feature_set: FeatureSet,
        class_set: ClassSet,
        fold: Fold,
        folder: Path,
        progress: Progress | None = None,
        *,
        further: FurtherSpeech | None = None,
        withheld: Sequence[str] = (),
        workers: Workers = ALONE,
    ):
        self.config = config
        self.feature_set = feature_set
        self.class_set = class_set
        self.parts = FoldParts(config, feature_set, class_set, fold, further, withheld)
        self.fold, self.seed = self.parts.fold, self.parts.seed
        self.folder = folder
        self.workers = workers
        self.checkpoint = Checkpoint(folder / "checkpoint")
        self.progress = progress or (lambda epoch, epochs, logs: None)

    def identity(self) -> dict[str, str]:
        """Returns hashes of all that decides what is trained and tested."""
        return self.parts.identity()

    def run(self) -> dict[str, Any]:
        """Trains (or resumes), scores the test part, and returns the fold's record.

        Raises:
            LeakageError: the audit found test data in training.
            SchemaError: features, protocol or checkpoint do not belong together.
            ConfigError: another worker trains something else.
        """
        record_path = self.folder / "fold.json"
        self._synchronize_workers(record_path)
        if record_path.exists():
            record = read_fold_record(record_path)
            check_identity(record_path, record, self.identity(), self.config.to_dict())
            return record
        audit.enforce(audit.audit_training(self.parts.audit_record()))
        with precision(self.config.precision):
            record = self._train_and_test()
        write_json(record_path, record)
        self.checkpoint.remove()
        return record

    def prepare(self) -> FoldTraining:
        """Returns the training of this fold, with a model that has not been trained yet."""
        return FoldTraining(self.parts, self.folder, self.identity(), self.progress, self.workers)

    def score_test_part(self, model: keras.Model, track: str | None = None) -> Scores:
        """Returns the model's scores of the test part, in key order, on the recipe's own track."""
        part = self.parts.part(sorted(self.fold.test))
        least_s = self.config.adaptation.least_s
        return predict(model, part, self.config.batch, track or self.config.track, least_s)

    def tested_rows(self) -> list[IndexRow]:
        """Returns the index rows of the utterances that are tested."""
        tested = set(self.fold.test)
        return [row for row in self.feature_set.rows if row.key in tested]

    def _synchronize_workers(self, record_path: Path) -> None:
        """Checks that all workers train the same, and gives them what the chief has stored."""
        self.workers.check_same({f"the {what}": value for what, value in self.identity().items()})
        paths = [record_path, self.folder / "scores.npz", *self.checkpoint.paths]
        self.workers.share_files(paths)

    def _train_and_test(self) -> dict[str, Any]:
        """Trains and tests; writes model and scores, and returns the record."""
        training = self.prepare()
        history, epoch = training.run()
        by_track = {track: self._write_scores(training.model, track) for track in self._tracks()}
        training.model.save(self.folder / "model.keras")
        return self._configuration_facts() | {
            **by_track.get(self.config.track, {}),
            "tracks": by_track,
            "epoch": epoch + 1,
            "epoch_chosen_by": self.config.select,
            "history": history,
            "weights": training.initial_weights,
            "weights_sha256": weights_sha256(training.model),
            "parameters": training.model.count_params(),
            **training.stopwatch.cost(),
        }

    def _tracks(self) -> tuple[str, ...]:
        """Returns the tracks that are scored; none where the fold has nobody to test on."""
        if not self.tested_rows():
            return ()
        return self.config.tracks

    def _write_scores(self, model: keras.Model, track: str) -> dict[str, float]:
        """Writes the scores of the test part on a track; returns "wa" and "ua"."""
        scores = self.score_test_part(model, track)
        path = self.folder / scores_name(track, self.config.track)
        write_atomic(path, lambda file: np.savez(file, **vars(scores)))
        return {
            "wa": metrics.weighted_accuracy(scores.classes, scores.predicted),
            "ua": metrics.unweighted_accuracy(
                scores.classes, scores.predicted, len(self.class_set.classes)
            ),
        }

    def _configuration_facts(self) -> dict[str, Any]:
        """Returns what is known before any training: configuration, identity and sizes."""
        return {
            "fold": self.fold.name,
            "config": self.config.to_dict(),
            "config_sha256": self.config.sha256,
            "seed": self.seed,
            "identity": self.identity(),
            "sizes": self.parts.sizes(),
            "unlabelled_sets": [part.facts() for part in self.parts.unlabelled],
            "joint_sets": [part.facts() for part in self.parts.joint],
            "test_speakers": sorted({row.speaker for row in self.tested_rows()}),
            "track": self.config.track,
            "not_adapted": self._not_adapted(),
        }

    def _not_adapted(self) -> list[str]:
        """Returns the test speakers with too little speech for statistics of their own."""
        if self.config.track == "blind":
            return []
        return speakers_below(self.config.adaptation.least_s, self.tested_rows())


def scores_name(track: str, own_track: str) -> str:
    """Returns the name of a fold's file of scores on a track, where its recipe has `own_track`."""
    return "scores.npz" if track == own_track else f"scores-{track}.npz"
