"""Masks of feature maps: which columns are speech, and how a strided window shortens them."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer


@keras.saving.register_keras_serializable("ser_keras")
class TimeMask(MaskedLayer):
    """Sets the columns of padding to zero, so that the next window sees only its own zeros.

    Args:
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, height, frames, channels).
        mask: bool (batch, frames), False = padding.

    Returns:
        The shape of `inputs`.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> ops.convert_to_numpy(TimeMask()(ops.ones((1, 1, 3, 1)), mask=mask)).ravel().tolist()
        [1.0, 1.0, 0.0]
    """

    def call(self, inputs, mask):
        return inputs * ops.cast(mask, inputs.dtype)[:, None, :, None]

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return inputs_shape


@keras.saving.register_keras_serializable("ser_keras")
class FrameMask(MaskedLayer):
    """Sets the frames of padding to zero, so that the next window sees only its own zeros.

    Args:
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), False = padding.

    Returns:
        The shape of `inputs`.

    Example:
        >>> mask = ops.convert_to_tensor([[True, False]])
        >>> ops.convert_to_numpy(FrameMask()(ops.ones((1, 2, 1)), mask=mask)).ravel().tolist()
        [1.0, 0.0]
    """

    def call(self, inputs, mask):
        return inputs * ops.cast(mask, inputs.dtype)[..., None]

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return inputs_shape


@keras.saving.register_keras_serializable("ser_keras")
class StridedMask(keras.layers.Layer):
    """Returns the mask of what a convolution or a pooling makes of each utterance alone.

    An utterance of n valid frames has floor((n + 2 padding - window) / stride) + 1 valid columns,
    whatever the width of the batch it lies in.

    Args:
        window: int. Width of the kernel or of the pool.
        stride: int.
        padding: int. Zeros on either side.

    Call arguments:
        inputs: bool (batch, frames), True for real frames, which come first.

    Returns:
        bool (batch, columns).

    Example:
        >>> mask = ops.arange(20)[None] < 14
        >>> columns = StridedMask(window=3, stride=2)(mask)
        >>> columns.shape[1], int(ops.sum(ops.cast(columns, "int32")))
        (9, 6)
    """

    def __init__(self, window, stride=1, padding=0, **kwargs):
        super().__init__(**kwargs)
        self.window = window
        self.stride = stride
        self.padding = padding

    def _columns(self, frames):
        return (frames + 2 * self.padding - self.window) // self.stride + 1

    def call(self, inputs):
        columns = self._columns(ops.sum(ops.cast(inputs, "int32"), axis=1))
        width = self._columns(ops.shape(inputs)[1])
        return ops.arange(width, dtype="int32")[None] < columns[:, None]

    def compute_output_shape(self, inputs_shape):
        batch, frames = inputs_shape
        return batch, None if frames is None else self._columns(frames)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "bool")

    def get_config(self):
        return {
            **super().get_config(),
            "window": self.window,
            "stride": self.stride,
            "padding": self.padding,
        }
