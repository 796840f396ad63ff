"""Trains one fold: statistics, model, epochs, early stopping, and exact resume after a kill."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ser_keras import audit, metrics
from ser_keras.config import ModelConfig, TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.features.statistics import FeatureStatistics
from ser_keras.files import write_atomic, write_json
from ser_keras.labels import ClassSet
from ser_keras.models import build_model, objective_of
from ser_keras.models.weights.pretrained import load_pretrained, weights_options
from ser_keras.protocols import Fold
from ser_keras.training.checkpoint import (
    Checkpoint,
    arrays_of,
    assign,
    refuse_other,
    weights_sha256,
)
from ser_keras.training.distribute import ALONE, Workers
from ser_keras.training.fold_batches import epoch_steps, training_batches
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.history import kept_epoch, summary_writer, write_summary
from ser_keras.training.optimizer import make_optimizer, plateau_rate
from ser_keras.training.precision import precision
from ser_keras.training.predict import Scores, predict
from ser_keras.training.replicas import replicated, training_step
from ser_keras.training.step import TrainingModel
from ser_keras.training.unlabelled import UnlabelledSpeech

Progress = Callable[[int, int, Mapping[str, float]], None]


class FoldTrainer:
    """One fold of one configuration, from features on disk to scores of its test part.

    Args:
        config: the run.
        feature_set: where the features lie.
        class_set: the classes and their order.
        fold: the keys of the three parts.
        folder: Path. Everything of this fold is written here.
        progress: called as (epoch, epochs, logs) after every epoch.
        unlabelled: further feature sets, trained on without labels.
        withheld: see `FoldParts`.
        workers: the processes that train this fold together.

    Raises:
        ConfigError: speech without labels, and a model that learns from labels alone.
        LeakageError: nothing is left of an unlabelled set.
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
        unlabelled: UnlabelledSpeech | None = None,
        withheld: Sequence[str] = (),
        workers: Workers = ALONE,
    ):
        self.config = config
        self.feature_set = feature_set
        self.class_set = class_set
        self.parts = FoldParts(config, feature_set, class_set, fold, unlabelled, withheld)
        self.fold, self.seed = self.parts.fold, self.parts.seed
        self.folder = folder
        self.workers = workers
        self.checkpoint = Checkpoint(folder / "checkpoint")
        self.progress = progress or (lambda epoch, epochs, logs: None)

    def identity(self) -> dict[str, str]:
        """Returns hashes of all that decides what is trained and tested."""
        return self.parts.identity()

    def run(self) -> dict[str, Any]:
        """Trains (or goes on), evaluates the test part, and returns the fold's record.

        Raises:
            LeakageError: the audit found test data in training.
            SchemaError: features, protocol or checkpoint do not belong together.
            ConfigError: another worker trains something else.
        """
        done = self.folder / "fold.json"
        self._meet(done)
        if done.exists():
            record = json.loads(done.read_text(encoding="utf-8"))
            refuse_other(done, record, self.identity())
            return record
        audit.enforce(audit.audit_training(self.parts.audit_record()))
        with precision(self.config.precision):
            return self._run(done)

    def _meet(self, done: Path) -> None:
        """Makes sure that all workers train the same, from where the chief's last run ended."""
        self.workers.check_same({f"the {what}": value for what, value in self.identity().items()})
        self.workers.share_files([done, self.folder / "scores.npz", *self.checkpoint.paths])

    def _run(self, done: Path) -> dict[str, Any]:
        self._prepare()
        started = time.perf_counter()
        history, epoch = self._train()
        scores = self.predict(self.fold.test)
        write_atomic(self.folder / "scores.npz", lambda file: np.savez(file, **vars(scores)))
        self.model.save(self.folder / "model.keras")
        record = self._record(history, epoch, scores, time.perf_counter() - started)
        write_json(done, record)
        self.checkpoint.remove()
        return record

    def _prepare(self) -> None:
        config = self.config
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.seed)
        tf.config.experimental.enable_op_determinism()
        self.training_part = self.parts.part(self.parts.train_keys)
        # Kept, so that its features are read once and not in every epoch.
        self.validation_part = self.parts.part(sorted(self.fold.valid))
        self.statistics = FeatureStatistics.fit(self.training_part.frames())
        self.model = build_model(
            config.model.name,
            num_classes=len(self.class_set.classes),
            dim=self.feature_set.schema.dim,
            **resolved_options(config.model),
        )
        self.model.get_layer("normalizer").set_affine(*self.statistics.affine(config.normalizer))
        self.weights = self._load_weights()
        steps = epoch_steps(config.batch, self.feature_set, set(self.parts.own_keys))
        self.batches = training_batches(
            config,
            self.training_part,
            self.parts.hidden,
            self.parts.unlabelled_parts(),
            self.statistics,
            len(self.class_set.classes),
            steps=steps,
            seed=self.seed,
        )
        self._prepare_step(steps)

    def _prepare_step(self, steps: int) -> None:
        config = self.config
        # What is scored and saved is `model`, on one device; `trained` is the same one, or its copy
        # on all of them.
        self.trained = replicated(self.model, self.workers.strategy)
        with self.workers.scope():
            self.optimizer = make_optimizer(
                config.optimizer, steps_per_epoch=steps, epochs=config.epochs
            )
            training_model = TrainingModel(
                self.trained,
                objective_of(config.model.name),
                label_smoothing=config.optimizer.label_smoothing,
                **config.objective,
            )
            training_model.compile(self.optimizer, jit_compile=config.jit_compile)
            self.optimizer.build(self.trained.trainable_variables)
        self.step = training_step(training_model, self.workers.strategy)

    def _load_weights(self) -> dict[str, Any]:
        name, path = self.config.model.name, self.config.model.weights
        if path is None:
            return {"initialisation": "random"}
        return {"initialisation": "file"} | load_pretrained(name, self.model, path)

    def _variables(self) -> list[keras.Variable]:
        return [*self.trained.variables, *self.optimizer.variables]

    def _train(self) -> tuple[list[dict[str, float]], int]:
        """Returns (history, number of the epoch whose weights the model now has)."""
        history: list[dict[str, float]] = []
        best: list[np.ndarray] = []
        if stored := self.checkpoint.load():
            values, best, meta = stored
            refuse_other(self.checkpoint.paths[0], meta, self.identity())
            assign(self._variables(), values, self.checkpoint.paths[0])
            history = meta["history"]
        with summary_writer(self.folder / "tensorboard") as writer:
            for epoch in range(len(history), self.config.epochs):
                if self._patience_is_over(history):
                    break
                self._set_rate(history)
                logs = self._epoch(epoch)
                with self._averaged():
                    logs |= self.workers.agreed(self._validate())
                    history.append(logs)
                    if self._is_kept(history):
                        best = arrays_of(self.model.weights)
                self.checkpoint.save(
                    self._variables(),
                    best,
                    {"identity": self.identity(), "history": history},
                )
                write_summary(writer, epoch, logs)
                self.progress(epoch + 1, self.config.epochs, logs)
        assign(self.model.weights, best, self.folder)
        return history, kept_epoch(history)

    def _patience_is_over(self, history: list[dict[str, float]]) -> bool:
        if self.config.select != "validation" or not history:
            return False
        return len(history) - 1 - kept_epoch(history) >= self.config.patience

    def _is_kept(self, history: list[dict[str, float]]) -> bool:
        """Whether the newest epoch is the one to keep, as far as is known."""
        if self.config.select == "last":
            return len(history) == self.config.epochs
        return kept_epoch(history) == len(history) - 1

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Gives the model its weights' moving average for a while, where one is kept."""
        if not self.config.optimizer.ema:
            self._copy_trained()
            yield
            return
        variables = self.trained.trainable_variables
        latest = arrays_of(variables)
        with self.workers.scope():
            self.optimizer.finalize_variable_values(variables)
        self._copy_trained()
        try:
            yield
        finally:
            assign(variables, latest, self.folder)

    def _copy_trained(self) -> None:
        if self.trained is not self.model:
            assign(self.model.weights, arrays_of(self.trained.weights), self.folder)

    def _set_rate(self, history: list[dict[str, float]]) -> None:
        if self.config.optimizer.schedule == "plateau":
            losses = [logs.get("valid_loss", logs["loss"]) for logs in history]
            self.optimizer.learning_rate = plateau_rate(self.config.optimizer, losses)

    def _epoch(self, number: int) -> dict[str, float]:
        started, count = time.perf_counter(), 0
        totals: dict[str, float] = {}
        for inputs, targets, weights in self.batches.epoch(number):
            # Keras 3.15 gives the logs of this batch alone.
            logs = self.step(inputs, targets, weights)
            count += len(targets)
            for name, value in logs.items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(targets)
        means = {name: total / count for name, total in totals.items()}
        return means | {"seconds": round(time.perf_counter() - started, 3)}

    def _validate(self) -> dict[str, float]:
        if self.config.select != "validation":
            return {}
        scores = predict(self.model, self.validation_part, self.config.batch)
        said = scores.probabilities.argmax(axis=1)
        classes = len(self.class_set.classes)
        return {
            "valid_ua": metrics.unweighted_accuracy(scores.classes, said, classes),
            "valid_wa": metrics.weighted_accuracy(scores.classes, said),
            "valid_loss": scores.loss,
        }

    def predict(self, keys: Sequence[str]) -> Scores:
        """Returns the scores of the utterances `keys`, in key order."""
        return predict(self.model, self.parts.part(sorted(keys)), self.config.batch)

    def _record(
        self, history: list[dict[str, float]], epoch: int, scores: Scores, seconds: float
    ) -> dict[str, Any]:
        speaker_of = {row.key: row.speaker for row in self.feature_set.rows}
        said = scores.probabilities.argmax(axis=1)
        classes = len(self.class_set.classes)
        return {
            "fold": self.fold.name,
            "config": self.config.to_dict(),
            "config_sha256": self.config.sha256,
            "seed": self.seed,
            "identity": self.identity(),
            "sizes": self.parts.sizes(),
            "unlabelled_sets": [other.facts() for other in self.parts.others],
            "test_speakers": sorted({speaker_of[key] for key in self.fold.test}),
            "wa": metrics.weighted_accuracy(scores.classes, said),
            "ua": metrics.unweighted_accuracy(scores.classes, said, classes),
            "epoch": epoch + 1,
            "epoch_chosen_by": self.config.select,
            "history": history,
            "weights": self.weights,
            "weights_sha256": weights_sha256(self.model),
            "parameters": self.model.count_params(),
            "train_seconds": round(seconds, 1),
        }


def resolved_options(config: ModelConfig) -> dict[str, Any]:
    """Returns the model's options; a weights file decides which plan of AlexNet is built."""
    if config.weights is None:
        return config.options
    return config.options | weights_options(config.name, config.weights)
