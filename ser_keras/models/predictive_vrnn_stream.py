"""The predictive VRNN one window at a time, for speech without an end."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from ser_keras.layers.predictive_cell import STATES
from ser_keras.models.predictive_vrnn_windows import frames_of_window, front_column, front_layers_of

Tensor = Any


@dataclass(frozen=True)
class StepFrames:
    """Which frames of the features the steps of a model are made of; made by `step_frames`.

    Args:
        window: int. Frames of a step; a recording's last one may have fewer.
        hop: int. Frames between the starts of two steps.
        least: int. Frames from its start on that a step behind the first needs to be one.
    """

    window: int = 1
    hop: int = 1
    least: int = 1

    def count(self, frames: Tensor) -> Tensor:
        """Returns the number of steps of recordings of so many frames, int32 (batch,).

        Example:
            >>> StepFrames(window=11, hop=4, least=9).count(ops.array([1, 11, 12, 13, 17])).numpy()
            array([1, 1, 1, 2, 3], dtype=int32)
        """
        return 1 + ops.maximum(frames - self.least, 0) // self.hop


def step_frames(model: keras.Model) -> StepFrames:
    """Returns which frames a predictive VRNN's steps are made of.

    Args:
        model: keras.Model, as `build_predictive_vrnn` made it or loaded from a file.
    """
    if "steps" not in model.output:
        return StepFrames()
    windows = model.get_layer("windows")
    reach, stride = front_column(front_layers_of(model))
    behind = reach + (windows.window - windows.hop) * stride
    return StepFrames(frames_of_window(model), windows.hop * stride, behind)


def streaming_predictive_vrnn(model: keras.Model) -> keras.Model:
    """Returns a model of one step that shares the weights of `model` and runs on without an end.

    Args:
        model: keras.Model, as `build_predictive_vrnn` made it or loaded from a file.

    Returns:
        Functional keras.Model from "features" (batch, dim), the vector of the next window, or
        (batch, window_frames, dim), its frames, where the model has windows of its own, then with
        "frames" int32 (batch,), how many of them are real; and from the states of `zero_state` to
        "logits" (batch, num_classes), "attention" (batch, dim),
        "prediction_mean" and "prediction_log_variance" (batch, dim) of the window to come,
        "normalized" (batch, dim), the vector itself, and the next states under their own names. All
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
    window, vector = _next_vector(model)
    state = {name: keras.Input((size,), name=name) for name, size in sizes.items()}
    outputs, states = cell(vector, [state[name] for name in STATES])
    parts = cell.parts(outputs)
    shown = ("attention", "prediction_mean", "prediction_log_variance")
    return keras.Model(
        {**window, **state},
        {
            "logits": model.get_layer("classifier")(parts["classification"]),
            **{name: parts[name] for name in shown},
            "normalized": vector,
            **dict(zip(state, states, strict=True)),
        },
        name=f"{model.name}_step",
    )


def _next_vector(model: keras.Model) -> tuple[dict[str, Tensor], Tensor]:
    """Returns (the inputs of a step but its states, the vector that the cell is given)."""
    dim = model.input["features"].shape[-1]
    if "steps" not in model.output:
        features = keras.Input((dim,), name="features")
        return {"features": features}, model.get_layer("normalizer")(features)
    size = frames_of_window(model)
    features = keras.Input((size, dim), name="features")
    frames = keras.Input((), dtype="int32", name="frames")
    mask = ops.less(ops.arange(size, dtype="int32"), ops.expand_dims(frames, 1))
    encoder = keras.Model(model.input, model.output["normalized"], name="window")
    vectors = encoder({"features": features, "mask": mask}, training=False)
    return {"features": features, "frames": frames}, vectors[:, 0]


def zero_state(streaming: keras.Model, batch_size: int = 1) -> dict[str, Tensor]:
    """Returns the state in which a stream starts.

    Args:
        streaming: keras.Model, of `streaming_predictive_vrnn`.
        batch_size: int. Number of streams.

    Returns:
        dict of state name to zeros, float32 (batch_size, size). Tensors, for Keras wants either
        only tensors or only arrays in a call.
    """
    sizes = {name: tensor.shape[1] for name, tensor in streaming.input.items() if name in STATES}
    return {name: ops.zeros((batch_size, size)) for name, size in sizes.items()}
