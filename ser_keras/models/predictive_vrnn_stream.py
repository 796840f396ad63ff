"""The predictive VRNN one window at a time, for speech that has no end."""

from typing import Any

import keras
from keras import ops

from ser_keras.layers.predictive_cell import STATES

Tensor = Any

READOUT_STATES = ("readout_count", "readout_mean", "readout_squares")


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
    cell, readout = model.get_layer("predictive").cell, _layer(model, "readout")
    sizes = dict(zip(STATES, cell.state_size, strict=True))
    if readout is not None:
        units = cell.classification_units
        sizes |= dict(zip(READOUT_STATES, (1, units, units), strict=True))

    # === Functional Model ===
    features, seen = _next_vector(model)
    state = {name: keras.Input((size,), name=name) for name, size in sizes.items()}
    outputs, states = cell(seen, [state[name] for name in STATES])
    parts = cell.parts(outputs)
    heard = parts["classification"]
    if readout is not None:
        heard, more = readout.step(heard, [state[name] for name in READOUT_STATES])
        states = [*states, *more]
    said = ("attention", "prediction_mean", "prediction_log_variance")
    return keras.Model(
        {"features": features, **state},
        {
            "logits": model.get_layer("classifier")(heard),
            **{name: parts[name] for name in said},
            "normalized": seen,
            **dict(zip(state, states, strict=True)),
        },
        name=f"{model.name}_step",
    )


def _layer(model: keras.Model, name: str) -> Any:
    """Returns the model's layer of that name, None where it has none."""
    return next((layer for layer in model.layers if layer.name == name), None)


def _next_vector(model: keras.Model) -> tuple[Tensor, Tensor]:
    """Returns (the input of a step, the vector that the cell is given)."""
    normalizer, windows = model.get_layer("normalizer"), _layer(model, "windows")
    dim = model.input["features"].shape[-1]
    if windows is None:
        features = keras.Input((dim,), name="features")
        return features, normalizer(features)
    features = keras.Input((windows.window, dim), name="features")
    every = ops.ones_like(features[..., 0], dtype="bool")
    vectors, real = windows(normalizer(features), mask=every)
    vectors = model.get_layer("standardized")(vectors, mask=real, training=False)
    return features, vectors[:, 0]


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
