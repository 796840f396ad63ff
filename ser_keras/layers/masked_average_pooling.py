"""Global average of a feature map over the cells that are speech."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer


def uniform_weights(inputs, mask):
    """Returns float32 (batch, height, frames): 1 / number of real cells, and 0 in the padding."""
    cells = ops.cast(ops.broadcast_to(mask[:, None], ops.shape(inputs)[:-1]), "float32")
    return cells / ops.maximum(ops.sum(cells, axis=(1, 2), keepdims=True), 1.0)


@keras.saving.register_keras_serializable("ser_keras")
class MaskedAveragePooling2D(MaskedLayer):
    """Averages each channel over the real cells of a feature map.

    Implements Li et al. 2018, Sec. 2.4.1: the pooled vector in front of the dense layer of Eq. (3).

    Args:
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, height, frames, channels).
        mask: bool (batch, frames), False = padding.

    Returns:
        average: (batch, channels); zeros where no frame is real.
        weights: float32 (batch, height, frames). The weight of each cell in it: the same for every
            real cell, 0 in the padding, summing to 1. The counterpart of an attention map.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> inputs = ops.reshape(ops.convert_to_tensor([1.0, 3.0, 99.0]), (1, 1, 3, 1))
        >>> average, weights = MaskedAveragePooling2D()(inputs, mask=mask)
        >>> float(average[0, 0]), ops.convert_to_numpy(weights).ravel().tolist()
        (2.0, [0.5, 0.5, 0.0])

    Departures: padded cells do not count; the paper does not mention padding. Summed in float32
        under every precision policy.
    """

    def call(self, inputs, mask):
        weights = uniform_weights(inputs, mask)
        x = ops.where(mask[:, None, :, None], ops.cast(inputs, "float32"), 0.0)
        average = ops.sum(weights[..., None] * x, axis=(1, 2))
        return ops.cast(average, self.compute_dtype), weights

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (inputs_shape[0], inputs_shape[-1]), inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask):
        average, weights = self.compute_output_shape(inputs.shape)
        return (
            keras.KerasTensor(average, self.compute_dtype),
            keras.KerasTensor(weights, "float32"),
        )
