"""Trains one fold: statistics, model, epochs, early stopping, and exact resume after a kill."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ser_keras import audit, metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.input import Part, TrainingBatches, evaluation_batches, mixed_seed
from ser_keras.errors import SchemaError
from ser_keras.features.statistics import FeatureStatistics
from ser_keras.labels import ClassSet
from ser_keras.models import build_model
from ser_keras.models.alexnet_weights import inspect_weights, load_backbone
from ser_keras.protocols import Fold
from ser_keras.training.checkpoint import (
    Checkpoint,
    arrays_of,
    assign,
    weights_sha256,
    write_atomic,
    write_json,
)
from ser_keras.training.config import ModelConfig, TrainConfig
from ser_keras.training.optimizer import make_optimizer

Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Scores:
    """What a model said of a set of utterances.

    Args:
        keys: (n,) str.
        classes: (n,) int. True classes.
        probabilities: (n, num_classes) float32.
    """

    keys: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray


class FoldTrainer:
    """One fold of one configuration, from features on disk to scores of its test part.

    Args:
        config: the run.
        feature_set: where the features lie.
        class_set: the classes and their order.
        fold: the keys of the three parts.
        folder: Path. Everything of this fold is written here.
        progress: called as (epoch, epochs, logs) after every epoch.
    """

    def __init__(
        self,
        config: TrainConfig,
        feature_set: FeatureSet,
        class_set: ClassSet,
        fold: Fold,
        folder: Path,
        progress: Progress | None = None,
    ):
        self.config = config
        self.feature_set = feature_set
        self.class_set = class_set
        self.fold = fold
        self.folder = folder
        self.progress = progress or (lambda epoch, epochs, logs: None)
        self.seed = mixed_seed(config.seed, fold.name)
        labels = {row.key: row.label for row in feature_set.rows}
        self.class_of = {
            key: class_set.index(labels[key])
            for part in (fold.train, fold.valid, fold.test)
            for key in part
            if key in labels
        }

    @property
    def train_keys(self) -> tuple[str, ...]:
        """Keys that weights, statistics and class weights are fitted on."""
        last = self.config.select == "last"
        return self.fold.train + self.fold.valid if last else self.fold.train

    def run(self) -> dict[str, Any]:
        """Trains (or goes on), evaluates the test part, and returns the fold's record.

        Raises:
            LeakageError: the audit found test data in training.
            SchemaError: features, protocol or checkpoint do not belong together.
        """
        done = self.folder / "fold.json"
        if done.exists():
            record = json.loads(done.read_text(encoding="utf-8"))
            if record["config_sha256"] != self.config.sha256:
                raise SchemaError(
                    f"{done}: made with another configuration ({record['config_sha256'][:12]}, "
                    f"now {self.config.sha256[:12]}). Choose another --output, or remove it."
                )
            return record
        findings = audit.audit_training(self._audit_record())
        audit.enforce(findings)
        with _precision(self.config.precision):
            return self._run(done)

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

    def _audit_record(self) -> dict[str, Any]:
        return {
            "normaliser_fitted_on": self.train_keys,
            "epoch_chosen_by": "validation" if self.config.select == "validation" else "fixed",
            "train": self.train_keys,
            "valid": () if self.config.select == "last" else self.fold.valid,
            "test": self.fold.test,
        }

    def part(self, keys: Sequence[str]) -> Part:
        """Returns the part of the feature set with these utterances."""
        classes = {key: self.class_of.get(key, -1) for key in keys}
        return Part(self.feature_set, classes, self.config.batch.cache_gb)

    def _prepare(self) -> None:
        config = self.config
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.seed)
        tf.config.experimental.enable_op_determinism()
        self.training_part = self.part(self.train_keys)
        # Kept, so that its features are read once and not in every epoch.
        self.validation_part = self.part(sorted(self.fold.valid))
        self.statistics = FeatureStatistics.fit(self.training_part.frames())
        self.model = build_model(
            config.model.name,
            num_classes=len(self.class_set.classes),
            dim=self.feature_set.schema.dim,
            **resolved_options(config.model),
        )
        self.model.get_layer("normalizer").set_affine(*self.statistics.affine(config.normalizer))
        self.weights = self._load_weights()
        self.batches = self._training_batches()
        optimizer = make_optimizer(
            config.optimizer, steps_per_epoch=self._steps(), epochs=config.epochs
        )
        self.model.compile(
            optimizer=optimizer,
            loss={
                "logits": keras.losses.CategoricalCrossentropy(
                    from_logits=True, label_smoothing=config.optimizer.label_smoothing
                )
            },
            jit_compile=False,  # XLA makes these convolutions three times slower on CPUs.
        )
        optimizer.build(self.model.trainable_variables)
        self.checkpoint = Checkpoint(self.folder / "checkpoint")

    def _load_weights(self) -> dict[str, Any]:
        if self.config.model.weights is None:
            return {"initialisation": "random"}
        return {"initialisation": "file"} | load_backbone(self.model, self.config.model.weights)

    def _training_batches(self) -> TrainingBatches:
        config, classes = self.config, len(self.class_set.classes)
        counts = np.bincount(list(self.training_part.class_of.values()), minlength=classes)
        weights = np.ones(classes)
        if config.batch.class_weights:
            weights = counts.sum() / np.maximum(counts, 1) / np.count_nonzero(counts)
        return TrainingBatches(
            self.training_part,
            classes,
            config.batch.size,
            config.batch.bucket_frames,
            weights,
            config.augment,
            self.statistics.mean,
            self.statistics.std,
            self.seed,
            fixed_shapes=keras.backend.backend() != "tensorflow",
        )

    def _steps(self) -> int:
        return -(-len(self.training_part.class_of) // self.config.batch.size)

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _train(self) -> tuple[list[dict[str, float]], int]:
        """Returns (history, number of the epoch whose weights the model now has)."""
        history: list[dict[str, float]] = []
        best: list[np.ndarray] = []
        if stored := self.checkpoint.load():
            values, best, meta = stored
            if meta["config_sha256"] != self.config.sha256:
                raise SchemaError(
                    f"{self.checkpoint.paths[0]}: of another configuration. Choose another "
                    "--output, or remove it."
                )
            assign(self._variables(), values, self.checkpoint.paths[0])
            history = meta["history"]
        with _summary_writer(self.folder / "tensorboard") as writer:
            for epoch in range(len(history), self.config.epochs):
                if self._patience_is_over(history):
                    break
                logs = self._epoch(epoch)
                with self._averaged():
                    logs |= self._validate()
                    history.append(logs)
                    if self._is_kept(history):
                        best = arrays_of(self.model.weights)
                self.checkpoint.save(
                    self._variables(),
                    best,
                    {"config_sha256": self.config.sha256, "history": history},
                )
                _summarize(writer, epoch, logs)
                self.progress(epoch + 1, self.config.epochs, logs)
        assign(self.model.weights, best, self.folder)
        return history, _kept_epoch(history)

    def _patience_is_over(self, history: list[dict[str, float]]) -> bool:
        if self.config.select != "validation" or not history:
            return False
        return len(history) - 1 - _kept_epoch(history) >= self.config.patience

    def _is_kept(self, history: list[dict[str, float]]) -> bool:
        """Whether the newest epoch is the one to keep, as far as is known."""
        if self.config.select == "last":
            return len(history) == self.config.epochs
        return _kept_epoch(history) == len(history) - 1

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Gives the model its weights' moving average for a while, where one is kept."""
        if not self.config.optimizer.ema:
            yield
            return
        variables = self.model.trainable_variables
        latest = arrays_of(variables)
        self.model.optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            assign(variables, latest, self.folder)

    def _epoch(self, number: int) -> dict[str, float]:
        started, total, count = time.perf_counter(), 0.0, 0
        for inputs, targets, weights in self.batches.epoch(number):
            logs = self.model.train_on_batch(
                inputs, {"logits": targets}, sample_weight={"logits": weights}, return_dict=True
            )
            # Keras 3.15 gives the loss of this batch alone.
            total += float(logs["loss"]) * len(targets)
            count += len(targets)
        return {
            "loss": total / count,
            "seconds": round(time.perf_counter() - started, 3),
        }

    def _validate(self) -> dict[str, float]:
        if self.config.select != "validation":
            return {}
        scores = predict(self.model, self.validation_part, self.config)
        said = scores.probabilities.argmax(axis=1)
        classes = len(self.class_set.classes)
        return {
            "valid_ua": metrics.unweighted_accuracy(scores.classes, said, classes),
            "valid_wa": metrics.weighted_accuracy(scores.classes, said),
        }

    def predict(self, keys: Sequence[str]) -> Scores:
        """Returns the scores of the utterances `keys`, in key order."""
        return predict(self.model, self.part(sorted(keys)), self.config)

    def _record(
        self, history: list[dict[str, float]], epoch: int, scores: Scores, seconds: float
    ) -> dict[str, Any]:
        speaker_of = {row.key: row.speaker for row in self.feature_set.rows}
        said = scores.probabilities.argmax(axis=1)
        classes = len(self.class_set.classes)
        return {
            "fold": self.fold.name,
            "config_sha256": self.config.sha256,
            "seed": self.seed,
            "sizes": {
                "train": len(self.train_keys),
                "valid": 0 if self.config.select == "last" else len(self.fold.valid),
                "test": len(self.fold.test),
            },
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
    return config.options | {"plan": inspect_weights(config.weights)}


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Builds and trains under a precision policy, and leaves the process's own as it was."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def predict(model: keras.Model, part: Part, config: TrainConfig) -> Scores:
    """Returns the model's scores of every utterance of `part`, in key order."""
    fixed = keras.backend.backend() != "tensorflow"
    keys, classes, probabilities = [], [], []
    for names, inputs, truth in evaluation_batches(
        part, config.batch.size, config.batch.bucket_frames, fixed
    ):
        logits = model.predict_on_batch(inputs)["logits"]
        keys.append(names)
        classes.append(truth)
        probabilities.append(_softmax(np.asarray(logits, np.float64)).astype(np.float32))
    order = np.argsort(np.concatenate(keys))
    return Scores(
        np.concatenate(keys)[order],
        np.concatenate(classes)[order],
        np.concatenate(probabilities)[order],
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _kept_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Returns the first epoch with the best validation UA; the last where nothing validates."""
    values = [logs.get("valid_ua", epoch) for epoch, logs in enumerate(history)]
    return int(np.argmax(values))


def _summary_writer(folder: Path) -> Any:
    return tf.summary.create_file_writer(str(folder)).as_default()


def _summarize(writer: Any, epoch: int, logs: Mapping[str, float]) -> None:
    for name, value in logs.items():
        tf.summary.scalar(name, value, step=epoch)
    tf.summary.flush(writer)
