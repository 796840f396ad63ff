"""Local response normalisation, AlexNet's brightness control between neighbouring channels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("ser_keras")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each channel by the energy of its neighbours in the same cell.

    Krizhevsky et al. 2012, Sec. 3.3, with the constants of the published Caffe network:
    y_c = x_c / (bias + alpha / size * sum of x_j^2 over |j - c| <= size // 2)^beta.

    Args:
        size: int. Channels in the sum, odd.
        alpha: float. Weight of the sum; divided by `size`, as Caffe does.
        beta: float. Exponent.
        bias: float. Added to the weighted sum.

    Call arguments:
        inputs: (batch, height, frames, channels).

    Returns:
        The shape of `inputs`. Cells do not mix, so padding needs no mask.

    Example:
        >>> layer = LocalResponseNormalization(size=3, alpha=3.0, beta=1.0)
        >>> ops.convert_to_numpy(layer(ops.ones((1, 1, 1, 3)))).ravel().tolist()
        [0.3333333432674408, 0.25, 0.3333333432674408]

    Departures: the sum over neighbours is a product with a banded 0/1 matrix, because Keras has no
        operation for it; computed in float32 under every precision policy.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, bias=1.0, **kwargs):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(
                f"LocalResponseNormalization: `size` counts a channel and its neighbours on both "
                f"sides and must be odd and positive. Received: size={size}"
            )
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.bias = bias

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        channels = ops.arange(inputs.shape[-1])
        near = ops.abs(channels[:, None] - channels[None]) <= self.size // 2
        weights = ops.cast(near, "float32") * (self.alpha / self.size)
        energy = ops.matmul(ops.square(x), weights) + self.bias
        return ops.cast(x * self._inverse_power(energy), inputs.dtype)

    def _inverse_power(self, energy):
        if self.beta != 0.75:
            return ops.power(energy, -self.beta)
        # power() costs ten times as much as two reciprocal square roots.
        root = ops.rsqrt(energy)
        return root * ops.sqrt(root)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
        }
