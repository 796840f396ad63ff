"""One training step on several replicas of a model, which computes the same as on one device.

Every replica gets the whole batch and sends its own rows through the model. Every operation that
uses more than one row, or draws random numbers for rows, works on the whole batch:

- outputs are gathered before the objective, so that its terms, such as means over utterances or
  frames, are right for any batch, including an incomplete one;
- batch normalisation computes its statistics over the rows of all replicas;
- dropout and noise are drawn for all rows, and each replica uses those of its own;
- gradients are added up before their norm is computed and clipped.

So weights differ from those of one device by rounding only, and between replicas not at all.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ser_keras.training.checkpoint import arrays_of, assign

Tensor = Any
Logs = Mapping[str, Any]

# The number of real rows of the replica that is being traced. Each replica has its own thread.
_replica = threading.local()


def replicated(model: keras.Model, strategy: Any) -> keras.Model:
    """Returns a copy of a model for training under a strategy, or the model itself without one.

    Args:
        model: keras.Model of `ser_keras.models`.
        strategy: tf.distribute.Strategy or None.
    """
    if strategy is None:
        return model
    with strategy.scope():
        copy = keras.models.clone_model(model)
    assign(copy.variables, arrays_of(model.variables), model.name)
    for layer in copy.layers:
        for method, wider in _WIDER.items():
            if hasattr(layer, method):
                setattr(layer, method, wider(getattr(layer, method)))
        if isinstance(layer, keras.layers.Dropout):
            layer.call = _whole_dropout(layer.call)
    return copy


def training_step(model: keras.Model, strategy: Any) -> Callable[..., Logs]:
    """Returns the function (inputs, targets, weights) -> logs that does one step.

    Args:
        model: a compiled `TrainingModel`, around what `replicated` returned.
        strategy: tf.distribute.Strategy or None.
    """
    if strategy is None:
        return lambda inputs, targets, weights: model.train_on_batch(
            inputs, targets, sample_weight=weights, return_dict=True
        )
    # Keras 3.15 adds up gradients inside the optimizer, after each replica has clipped its own.
    model.optimizer._all_reduce_sum_gradients = list

    # Keras's own function fails in several processes: it takes scalar logs for rows (keras#20585).
    @tf.function(reduce_retracing=True, autograph=False)
    def run(batch: tuple[Tensor, ...]) -> Logs:
        logs = strategy.run(model.train_step, args=(batch,))
        return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

    def step(*batch: Tensor) -> Logs:
        model.reset_metrics()
        return run(batch)

    return step


def whole_outputs(model: keras.Model, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns a model's outputs in training for a whole batch; this replica computes its own rows.

    Gradients flow into the replica's own rows only, so the gradients of all replicas must be added.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return model(inputs, training=True)
    count = tf.shape(inputs["mask"])[0]
    # All replicas have equally many rows; utterances without frames pad the last ones.
    rows = -(-count // replicas)
    first = context.replica_id_in_sync_group * rows
    _replica.real_rows = count - first

    def own_rows(values: Tensor) -> Tensor:
        padding = [[0, rows * replicas - count]] + [[0, 0]] * (len(values.shape) - 1)
        return tf.pad(values, padding)[first : first + rows]

    def all_rows(values: Tensor) -> Tensor:
        own = tf.cast(values, tf.float32)  # Collectives carry no truth values.
        gathered = context.all_gather(tf.stop_gradient(own), axis=0)
        joined = tf.concat([gathered[:first], own, gathered[first + rows :]], axis=0)
        return tf.cast(joined[:count], values.dtype)

    outputs = model({name: own_rows(values) for name, values in inputs.items()}, training=True)
    return {name: all_rows(values) for name, values in outputs.items()}


def summed(values: Sequence[Tensor]) -> Sequence[Tensor]:
    """Returns the sums over all replicas."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))


def _over_replicas(moments: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., Any]:
    """Returns the function (inputs, mask) -> (mean, variance) over the cells of all replicas.

    Combines the moments of the replicas as in Chan, Golub and LeVeque 1983.
    """

    def joint_moments(inputs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        # Models treat the first frame of an utterance without frames as real.
        real = tf.range(tf.shape(mask)[0]) < _replica.real_rows
        mask = mask & real[:, None]
        mean, variance = moments(inputs, mask)
        count = tf.reduce_sum(tf.cast(mask, mean.dtype))
        share = count / tf.maximum(summed([count])[0], 1.0)
        (joint_mean,) = summed([share * mean])
        (joint_variance,) = summed([share * (variance + tf.square(mean - joint_mean))])
        return joint_mean, joint_variance

    return joint_moments


def _for_all_rows(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function (rows, *sizes) -> this replica's rows of what is drawn for all rows."""

    def draw_own_rows(rows: Tensor, *sizes: Tensor) -> Any:
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group * rows
        drawn = draw(rows * context.num_replicas_in_sync, *sizes)
        return tf.nest.map_structure(lambda values: values[first : first + rows], drawn)

    return draw_own_rows


def _whole_dropout(dropout: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns the call of a dropout layer with factors drawn for the rows of all replicas."""

    def call(inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs

        def factors(rows: Tensor, *sizes: Tensor) -> Tensor:
            return dropout(tf.ones((rows, *sizes), inputs.dtype), training=True)

        return inputs * _for_all_rows(factors)(*tf.unstack(tf.shape(inputs)))

    return call


# Methods by which a layer looks beyond its rows or draws numbers for them, and their replacements.
_WIDER = {"_moments": _over_replicas, "_random": _for_all_rows}
