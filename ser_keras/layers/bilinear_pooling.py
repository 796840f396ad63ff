"""Second-order pooling: which channels are active together."""

import keras
from keras import ops

from ser_keras.layers.masked_average_pooling import uniform_weights
from ser_keras.layers.masked_layer import MaskedLayer

# Keeps the slope of the square root finite beside 0; at 0 itself the sign makes it 0.
ROOT_EPSILON = 1e-8


@keras.saving.register_keras_serializable("ser_keras")
class BilinearPooling(MaskedLayer):
    """Pools the products of all pairs of channels, takes signed roots, scales to unit length.

    Implements Li et al. 2018, Sec. 2.4.2 and 3.3 ("CNN TF Bilinear"): the feature X^T X in front of
    the dense layer of Eq. (4), X being the (height x frames, channels) cells.

    Args:
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, height, frames, channels).
        mask: bool (batch, frames), False = padding.

    Returns:
        products: (batch, channels^2), of length 1; zeros where no frame is real.
        weights: float32 (batch, height, frames). The weight of each cell in them: the same for
            every real cell, 0 in the padding, summing to 1. The counterpart of an attention map.

    Example:
        >>> inputs = ops.reshape(ops.convert_to_tensor([3.0, -4.0]), (1, 1, 1, 2))
        >>> products, _ = BilinearPooling()(inputs, mask=ops.ones((1, 1), dtype="bool"))
        >>> [round(float(value), 3) for value in ops.convert_to_numpy(products[0])]
        [0.429, -0.495, -0.495, 0.571]

    Departures: padded cells do not count. X^T X is divided by the number of cells, which the unit
        length takes back. The paper's text names the length before the root; the root comes first
        here, as in the bilinear CNN it refers to, and only so the classifier's input has length 1.
        Computed in float32 under every precision policy.
    """

    def call(self, inputs, mask):
        weights = uniform_weights(inputs, mask)
        channels = inputs.shape[-1]
        x = ops.where(mask[:, None, :, None], ops.cast(inputs, "float32"), 0.0)
        weighted = ops.reshape(weights[..., None] * x, (ops.shape(x)[0], -1, channels))
        cells = ops.reshape(x, (ops.shape(x)[0], -1, channels))
        products = ops.matmul(ops.transpose(weighted, (0, 2, 1)), cells)
        products = ops.reshape(products, (-1, channels * channels))
        roots = ops.sign(products) * ops.sqrt(ops.abs(products) + ROOT_EPSILON)
        energy = ops.sum(ops.square(roots), axis=-1, keepdims=True)
        return ops.cast(roots * ops.rsqrt(energy + ROOT_EPSILON), self.compute_dtype), weights

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's two output shapes."""
        (_, products), (_, height, frames) = output_shape
        return height * frames * products

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (inputs_shape[0], inputs_shape[-1] ** 2), inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask):
        products, weights = self.compute_output_shape(inputs.shape)
        return (
            keras.KerasTensor(products, self.compute_dtype),
            keras.KerasTensor(weights, "float32"),
        )
