"""Builds the model of one fold and trains it, epoch by epoch, with exact resume after a kill."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ser_keras import metrics
from ser_keras.adaptation.batches import joint_steps
from ser_keras.adaptation.functionals import check_functionals
from ser_keras.adaptation.speakers import check_takes_speakers
from ser_keras.adaptation.utterances import SpeakerPart
from ser_keras.config import ModelConfig, TrainConfig
from ser_keras.data.part import FoldPart
from ser_keras.features.specs import spec_from_dict
from ser_keras.features.statistics import FeatureStatistics
from ser_keras.models import build_model, objective_of
from ser_keras.models.other_classes import with_other_classes
from ser_keras.models.weights.pretrained import load_pretrained, weights_options
from ser_keras.training.checkpoint import Checkpoint, arrays_of, assign, check_identity
from ser_keras.training.distribute import ALONE, Workers
from ser_keras.training.fold_batches import epoch_steps, training_batches
from ser_keras.training.fold_parts import FoldParts
from ser_keras.training.history import RESUMED, Stopwatch, kept_epoch, summary_writer, write_summary
from ser_keras.training.optimizer import make_optimizer, plateau_rate
from ser_keras.training.predict import predict
from ser_keras.training.replicas import replicated, training_step
from ser_keras.training.step import TrainingModel

Progress = Callable[[int, int, Mapping[str, float]], None]
Logs = dict[str, float]


class FoldTraining:
    """The training of one fold's model. The constructor builds it; `run` trains it.

    Args:
        parts: the utterances of the fold, and the configuration that they are used with.
        folder: Path. Holds the checkpoint and the learning curves.
        identity: hashes of all that decides what is trained; a checkpoint must have the same.
        progress: called as (epoch, epochs, logs) after every epoch; where a checkpoint goes on also
            once before, with its last epoch and `RESUMED` in the logs.
        workers: the processes that train this fold together.
    """

    def __init__(
        self,
        parts: FoldParts,
        folder: Path,
        identity: Mapping[str, str],
        progress: Progress = lambda epoch, epochs, logs: None,
        workers: Workers = ALONE,
    ):
        config = parts.config
        self.stopwatch = Stopwatch()
        keras.backend.clear_session()
        keras.utils.set_random_seed(parts.seed)
        tf.config.experimental.enable_op_determinism()
        self.config, self.class_set = config, parts.class_set
        self.folder, self.identity = folder, dict(identity)
        self.progress, self.workers = progress, workers
        self.checkpoint = Checkpoint(folder / "checkpoint")
        training_part = parts.part(parts.train_keys)
        # Kept, so that its features are read once and not in every epoch.
        self.validation_part = parts.part(sorted(parts.fold.valid))
        statistics = FeatureStatistics.fit(training_part.frames())
        num_classes = len(self.class_set.classes)
        # `model` is scored and saved, on one device. `trained` is the same model, with outputs for
        # further classes where there are joint sets, or under a strategy its copy on all devices.
        self.model = build_model(
            config.model.name,
            num_classes=num_classes,
            dim=parts.feature_set.schema.dim,
            **resolved_options(config.model),
        )
        check_takes_speakers(config, self.model)
        check_functionals(self.model, spec_from_dict(parts.feature_set.schema.spec))
        set_normalizers(self.model, config, training_part, statistics)
        self.initial_weights = load_initial_weights(config.model, self.model)
        steps = epoch_steps(config.batch, parts.feature_set, set(parts.own_keys))
        self.batches = training_batches(
            config,
            training_part,
            parts.hidden,
            parts.unlabelled_parts(),
            statistics,
            self.model,
            joint=parts.joint_parts(),
            steps=steps,
            seed=parts.seed,
        )
        # The same variables, and those of the classes that only joint sets have.
        self.whole = with_other_classes(self.model, len(parts.union.others))
        self.trained = replicated(self.whole, workers.strategy)
        if parts.joint:
            steps = joint_steps(steps, config.adaptation.joint_share)
        self.optimizer, self.step = compiled_step(config, self.trained, steps, workers)

    def run(self) -> tuple[list[Logs], int]:
        """Trains, from the checkpoint on where there is one.

        Returns:
            The logs of every epoch, and the index of the epoch whose weights the model now has.

        Raises:
            SchemaError: the checkpoint is of another training.
        """
        history, best = self._restore()
        if history:
            self.progress(len(history), self.config.epochs, history[-1] | {RESUMED: 1.0})
        with summary_writer(self.folder / "tensorboard") as writer:
            for epoch in range(len(history), self.config.epochs):
                if self._patience_is_over(history):
                    break
                self._set_rate(history)
                logs = self._train_epoch(epoch)
                with self._averaged_weights():
                    logs |= self.workers.agreed(self._validate())
                    history.append(logs)
                    if self._newest_is_best(history):
                        best = arrays_of(self.model.weights)
                self.checkpoint.save(self._variables(), best, self._facts(history))
                write_summary(writer, epoch, logs)
                self.progress(epoch + 1, self.config.epochs, logs)
        assign(self.model.weights, best, self.folder)
        return history, kept_epoch(history)

    def _facts(self, history: list[Logs]) -> dict[str, Any]:
        """Returns what a checkpoint holds beside the values of variables."""
        return {
            "identity": self.identity,
            "config": self.config.to_dict(),
            "history": history,
            "cost": self.stopwatch.cost(),
        }

    def _variables(self) -> list[keras.Variable]:
        return [*self.trained.variables, *self.optimizer.variables]

    def _restore(self) -> tuple[list[Logs], list[np.ndarray]]:
        """Returns (history, best weights) of the checkpoint, and gives the variables its values."""
        stored = self.checkpoint.load()
        if stored is None:
            return [], []
        values, best, meta = stored
        path = self.checkpoint.paths[0]
        check_identity(path, meta, self.identity, self.config.to_dict())
        assign(self._variables(), values, path)
        self.stopwatch.resume(meta.get("cost", {}))
        return meta["history"], best

    def _patience_is_over(self, history: list[Logs]) -> bool:
        if self.config.select != "validation" or not history:
            return False
        return len(history) - 1 - kept_epoch(history) >= self.config.patience

    def _newest_is_best(self, history: list[Logs]) -> bool:
        """Tells whether the newest epoch's weights are those to keep so far."""
        if self.config.select == "last":
            return len(history) == self.config.epochs
        return kept_epoch(history) == len(history) - 1

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Gives the model the moving average of its weights for a while, if one is kept."""
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
        if self.trained is not self.whole:
            assign(self.whole.weights, arrays_of(self.trained.weights), self.folder)

    def _set_rate(self, history: list[Logs]) -> None:
        if self.config.optimizer.schedule == "plateau":
            losses = [logs.get("valid_loss", logs["loss"]) for logs in history]
            self.optimizer.learning_rate = plateau_rate(self.config.optimizer, losses)

    def _train_epoch(self, number: int) -> Logs:
        started, count = time.perf_counter(), 0
        totals: Logs = {}
        for inputs, targets, weights in self.batches.epoch(number):
            # Keras 3.15 gives the logs of this batch alone.
            logs = self.step(inputs, targets, weights)
            count += len(targets)
            for name, value in logs.items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(targets)
        means = {name: total / count for name, total in totals.items()}
        return means | {"seconds": round(time.perf_counter() - started, 3)}

    def _validate(self) -> Logs:
        if self.config.select != "validation":
            return {}
        scores = predict(
            self.model,
            self.validation_part,
            self.config.batch,
            self.config.track,
            self.config.adaptation.least_s,
        )
        num_classes = len(self.class_set.classes)
        return {
            "valid_ua": metrics.unweighted_accuracy(scores.classes, scores.predicted, num_classes),
            "valid_wa": metrics.weighted_accuracy(scores.classes, scores.predicted),
            "valid_loss": scores.loss,
        }


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Builds and trains under a precision policy, and restores the process's own policy after."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def set_normalizers(
    model: keras.Model, config: TrainConfig, part: FoldPart, statistics: FeatureStatistics
) -> None:
    """Gives the normalisers inside of a model the statistics of the training part."""
    # What a speaker's statistics change is standardised first.
    kind = "standard" if config.normalizer == "speaker" else config.normalizer
    model.get_layer("normalizer").set_affine(*statistics.affine(kind))
    if "functionals" in model.input:
        functionals = SpeakerPart(part, with_functionals=True).functional_statistics()
        model.get_layer("functional_normalizer").set_affine(*functionals.affine(kind))


def resolved_options(config: ModelConfig) -> dict[str, Any]:
    """Returns the model's options; a weights file decides which plan of AlexNet is built."""
    if config.weights is None:
        return config.options
    return config.options | weights_options(config.name, config.weights)


def load_initial_weights(config: ModelConfig, model: keras.Model) -> dict[str, Any]:
    """Loads the pretrained weights, if there are any, and returns what a record says of them."""
    if config.weights is None:
        return {"initialisation": "random"}
    return {"initialisation": "file"} | load_pretrained(config.name, model, config.weights)


def compiled_step(
    config: TrainConfig, trained: keras.Model, steps: int, workers: Workers
) -> tuple[keras.optimizers.Optimizer, Callable[..., Mapping[str, Any]]]:
    """Returns the optimizer, and the function (inputs, targets, weights) -> logs of one step.

    Args:
        config: the run.
        trained: the model, as `replicated` returned it.
        steps: int. Batches per epoch.
        workers: the processes that train together.
    """
    with workers.scope():
        optimizer = make_optimizer(config.optimizer, steps_per_epoch=steps, epochs=config.epochs)
        training_model = TrainingModel(
            trained,
            objective_of(config.model.name),
            label_smoothing=config.optimizer.label_smoothing,
            **config.objective,
        )
        training_model.compile(optimizer, jit_compile=config.jit_compile)
        optimizer.build(trained.trainable_variables)
    return optimizer, training_step(training_model, workers.strategy)
