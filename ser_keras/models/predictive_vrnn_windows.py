"""Windows inside of the predictive VRNN: convolutions over frames and their statistics."""

from typing import Any

import keras
from keras import ops

from ser_keras.errors import ConfigError
from ser_keras.layers.fit_frames import FitFrames
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.time_mask import StridedMask
from ser_keras.layers.window_statistics import WindowStatistics

Tensor = Any

# Window and stride of the front end's first convolution, and of each behind it.
FRONT_FIRST, FRONT_NEXT = (5, 2), (3, 1)


def window_vectors(
    frames: Tensor, mask: Tensor, window: int, hop: int, layers: int, units: int
) -> tuple[Tensor, Tensor]:
    """Adds the front end and the statistics of its windows; returns (vectors, their mask).

    Args:
        frames: (batch, frames, dim).
        mask: bool (batch, frames), True for real frames, which come first.
        window: int. Frames of a window.
        hop: int. Frames between the starts of two windows.
        layers: int. Convolutions before the statistics are taken.
        units: int. Filters of each.
    """
    columns, mask = _front(frames, mask, layers, units)
    reach, stride = front_column(layers)
    statistics = WindowStatistics((window - reach) // stride + 1, hop // stride, name="windows")
    vectors, mask = statistics(columns, mask=mask)
    # Without gain and offset, which would be learnt to make the next vector easy to predict.
    standardize = keras.layers.BatchNormalization(
        center=False, scale=False, dtype="float32", name="standardized"
    )
    return standardize(vectors, mask=mask), mask


def front_column(layers: int) -> tuple[int, int]:
    """Returns how many frames a column of the front end sees, and how far the next one starts."""
    reach, stride = 1, 1
    for window, step in _front_layers(layers):
        reach += (window - 1) * stride
        stride *= step
    return reach, stride


def front_layers_of(model: keras.Model) -> int:
    """Returns the number of convolutions of a model's front end."""
    return sum(isinstance(layer, keras.layers.Conv1D) for layer in model.layers)


def frames_of_window(model: keras.Model) -> int:
    """Returns the number of frames of a window of a model that makes its windows."""
    reach, stride = front_column(front_layers_of(model))
    return stride * (model.get_layer("windows").window - 1) + reach


def check_windows(frames: int, hop: int, front_layers: int) -> None:
    """Raises ConfigError where windows and convolutions do not fit each other."""
    if frames and not 1 <= hop <= frames:
        raise ConfigError(
            f"predictive_vrnn: window_frames={frames} and window_hop={hop}; expected a hop of 1 to "
            f"{frames} frames, such as window_hop={max(1, frames // 2)}."
        )
    if not front_layers:
        return
    reach, stride = front_column(front_layers)
    # With a longer hop, columns between two windows would be in neither.
    furthest = frames - reach + stride
    if front_layers < 0 or frames < reach or (frames - reach) % stride or hop % stride:
        raise ConfigError(
            f"predictive_vrnn: front_layers={front_layers} with window_frames={frames} and "
            f"window_hop={hop}; expected 0 or more layers, a hop that {stride} divides, and "
            f"windows of {reach} frames, which so many layers see, or {stride}, {2 * stride}, ... "
            "more."
        )
    if hop > furthest:
        raise ConfigError(
            f"predictive_vrnn: window_hop={hop} with window_frames={frames} and front_layers="
            f"{front_layers}; expected a hop of at most {furthest} frames, or some would be in no "
            "window."
        )


def _front_layers(layers: int) -> list[tuple[int, int]]:
    """Returns window and stride of each convolution."""
    return [FRONT_FIRST, *[FRONT_NEXT] * (layers - 1)] if layers > 0 else []


def _front(x: Tensor, mask: Tensor, layers: int, units: int) -> tuple[Tensor, Tensor]:
    """Adds the convolutions; returns (columns, their mask).

    They see no zeros but in utterances shorter than one column, so that a window alone, as a stream
    has it, becomes what it becomes in its utterance.
    """
    if not layers:
        return x, mask
    reach, _ = front_column(layers)
    x, mask = FitFrames(minimum=reach, name="front_frames")(x, mask=mask)
    nth = ops.cumsum(ops.ones_like(mask, dtype="int32"), axis=1)
    mask = ops.logical_or(mask, ops.logical_and(mask[:, :1], nth <= reach))
    for number, (window, stride) in enumerate(_front_layers(layers), start=1):
        name = f"front{number}"
        x = keras.layers.Conv1D(units, window, strides=stride, use_bias=False, name=name)(x)
        mask = StridedMask(window, stride, name=f"{name}_columns")(mask)
        x = MaskedBatchNormalization(name=f"{name}_norm")(x, mask=mask)
        x = keras.layers.Activation("relu", name=f"{name}_relu")(x)
    return x, mask
