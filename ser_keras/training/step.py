"""The training step, which logs every term of the objective and the gradient's norm."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops


class TrainingModel(keras.Model):
    """Trains a model of `ser_keras.models` for its objective.

    It takes (inputs, targets, weights) as `ser_keras.data.batches.TrainingBatches` makes them, one
    batch at a time or under `fit` with callbacks. Only `inner` is saved and exported.

    Args:
        inner: keras.Model with named outputs.
        objective: function of (inputs, targets, weights, outputs) to the terms, see
            `ser_keras.models.objectives`.
        **options: of the objective, such as `label_smoothing`.

    Call arguments:
        inputs: of `inner`.

    Returns:
        Outputs of `inner`.

    Example:
        >>> from ser_keras.models import build_model, objective_of
        >>> model = build_model("alexnet_fcn", num_classes=4, dim=200, width=0.1)
        >>> training = TrainingModel(model, objective_of("alexnet_fcn"), label_smoothing=0.1)
        >>> [metric.name for metric in training.metrics]
        ['loss', 'gradient_norm', 'cross_entropy']

    Departures: only TensorFlow logs the gradient's norm, because Keras does not give access to the
        gradients on JAX. The norm is that before clipping.
    """

    def __init__(
        self, inner: keras.Model, objective: Callable[..., Mapping[str, Any]], **options: Any
    ):
        super().__init__(name=f"{inner.name}_training")
        self.inner = inner
        self.objective = objective
        self.options = options
        self.loss_metric = keras.metrics.Mean(name="loss")
        self.norm_metric = keras.metrics.Mean(name="gradient_norm")
        classes = sum(
            inner.output[name].shape[-1]
            for name in ("logits", "other_logits")
            if name in inner.output
        )
        targets = keras.KerasTensor((None, classes))
        # A symbolic call for the names: metrics must exist before the first step is traced.
        terms = objective(inner.input, targets, keras.KerasTensor((None,)), inner.output, **options)
        self.term_metrics = {name: keras.metrics.Mean(name=name) for name in terms}
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the outputs of `inner`."""
        return self.inner(inputs, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss, the gradient's norm and every term, as means since the last reset."""
        return [self.loss_metric, self.norm_metric, *self.term_metrics.values()]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Returns the sum of the objective's terms."""
        terms = self.objective(x, y, sample_weight, y_pred, **self.options)
        for name, value in terms.items():
            self.term_metrics[name].update_state(value)
        loss = sum(terms.values())
        self.loss_metric.update_state(loss)
        return loss

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Returns the logs of the step."""
        return {metric.name: metric.result() for metric in self.metrics}

    def train_step(self, *arguments: Any) -> Any:
        """Does one step. On TensorFlow it uses its own tape to compute the gradient's norm."""
        if keras.backend.backend() != "tensorflow":
            return super().train_step(*arguments)
        # TensorFlow may be missing where models train on JAX.
        import tensorflow as tf

        from ser_keras.training.replicas import summed, whole_outputs

        x, y, weights = keras.utils.unpack_x_y_sample_weight(arguments[0])
        with tf.GradientTape() as tape:
            outputs = whole_outputs(self, x)
            loss = self.compute_loss(x, y, outputs, weights)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        replica_gradients = [
            tf.zeros_like(variable.value) if gradient is None else gradient
            for gradient, variable in zip(tape.gradient(scaled, variables), variables, strict=True)
        ]
        gradients = summed(replica_gradients)
        scale = self.optimizer.scale_loss(ops.ones(()))
        self.norm_metric.update_state(tf.linalg.global_norm(gradients) / scale)
        self.optimizer.apply(gradients, variables)
        return self.compute_metrics(x, y, outputs, weights)
