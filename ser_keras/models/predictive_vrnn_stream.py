"""The predictive VRNN one window at a time, for speech that has no end."""

from typing import Any

import keras
from keras import ops

from ser_keras.layers.predictive_cell import STATES
from ser_keras.models.predictive_vrnn import frames_of_window

Tensor = Any


def streaming_predictive_vrnn(model: keras.Model) -> keras.Model:
    """Returns a model of one step that shares the weights of `model` and may go on for ever.

    Args:
        model: keras.Model, as `build_predictive_vrnn` made it or loaded from a file.

    Returns:
        Functional keras.Model from "features" (batch, dim), the vector of the next window, or
        (batch, window_frames, dim), its frames, where the model has windows of its own, and the
        states of `zero_state` to "logits" (batch, num_classes), "attention" (batch, dim),
        "prediction_mean" and "prediction_log_variance" (batch, dim) of the window to come,
        "normalized" (batch, dim), what was seen, and the next states under their own names. All
        float32.

    Example:
        >>> from ser_keras.models import build_model
        >>> model = build_model("predictive_vrnn", num_classes=8, dim=40, recognition_units=8)
        >>> step = streaming_predictive_vrnn(model)
        >>> state = zero_state(step, batch_size=1)
        >>> for window in range(3):
        ...     outputs = step({"features": ops.zeros((1, 40)), **state})
        ...     state = {name: outputs[name] for name in state}
        >>> tuple(outputs["logits"].shape)
        (1, 8)
    """
    cell = model.get_layer("predictive").cell
    sizes = dict(zip(STATES, cell.state_size, strict=True))

    # === Functional Model ===
    features, seen = _next_vector(model)
    state = {name: keras.Input((size,), name=name) for name, size in sizes.items()}
    outputs, states = cell(seen, [state[name] for name in STATES])
    parts = cell.parts(outputs)
    said = ("attention", "prediction_mean", "prediction_log_variance")
    return keras.Model(
        {"features": features, **state},
        {
            "logits": model.get_layer("classifier")(parts["classification"]),
            **{name: parts[name] for name in said},
            "normalized": seen,
            **dict(zip(state, states, strict=True)),
        },
        name=f"{model.name}_step",
    )


def _next_vector(model: keras.Model) -> tuple[Tensor, Tensor]:
    """Returns (the input of a step, the vector that the cell is given)."""
    dim = model.input["features"].shape[-1]
    if "steps" not in model.output:
        features = keras.Input((dim,), name="features")
        return features, model.get_layer("normalizer")(features)
    features = keras.Input((frames_of_window(model), dim), name="features")
    every = ops.ones_like(features[..., 0], dtype="bool")
    encoder = keras.Model(model.input, model.output["normalized"], name="window")
    return features, encoder({"features": features, "mask": every}, training=False)[:, 0]


def zero_state(streaming: keras.Model, batch_size: int = 1) -> dict[str, Tensor]:
    """Returns the state in which a stream starts.

    Args:
        streaming: keras.Model, of `streaming_predictive_vrnn`.
        batch_size: int. Number of streams.

    Returns:
        dict of state name to zeros, float32 (batch_size, size). Tensors, for Keras wants either
        only tensors or only arrays in a call.
    """
    sizes = {name: tensor.shape[1] for name, tensor in streaming.input.items()}
    del sizes["features"]
    return {name: ops.zeros((batch_size, size)) for name, size in sizes.items()}
