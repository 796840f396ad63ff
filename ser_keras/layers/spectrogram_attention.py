"""Attention over the time-frequency cells of a feature map."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, masked_softmax, root_of


@keras.saving.register_keras_serializable("ser_keras")
class SpectrogramAttention(MaskedLayer):
    """Sums the cells of a feature map, weighted by how much each tells about the emotion.

    Implements Zhang et al. 2018 (attention FCN), Sec. II-B, Eq. (2)-(4), over all
    L = height x frames cells a_i: e_i = u^T tanh(W a_i + b); alpha = softmax(lambda e);
    c = sum of alpha_i a_i.

    Args:
        units: int. Size of the score layer, the rows of W.
        attention_lambda: float. Scale of the scores: 0 is the mean over all cells, 1 a softmax.
        deviation: bool. Also return the weighted standard deviation of each channel, behind the
            mean.

    Call arguments:
        inputs: (batch, height, frames, channels).
        mask: bool (batch, frames), False = padding. Every utterance needs one True.

    Returns:
        context: (batch, channels), or (batch, 2 channels) with the deviation.
        attention: float32 (batch, height, frames), summing to 1, and 0 in the padding (Fig. 4).

    Example:
        >>> layer = SpectrogramAttention(units=4)
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> context, attention = layer(ops.ones((1, 5, 3, 8)), mask=mask)
        >>> tuple(context.shape), tuple(attention.shape), float(attention[0, 0, 2])
        ((1, 8), (1, 5, 3), 0.0)

    Departures: padded cells are masked, the paper does not say how it batches; softmax and sum are
        computed in float32 under every precision policy; the deviation is ours.
    """

    def __init__(self, units=256, attention_lambda=0.3, deviation=False, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.attention_lambda = attention_lambda
        self.deviation = deviation
        self.projection = keras.layers.Dense(
            units, activation="tanh", name="projection", dtype=self.dtype_policy
        )
        self.score = keras.layers.Dense(1, use_bias=False, name="score", dtype=self.dtype_policy)

    def build(self, inputs_shape, mask_shape=None):
        self.projection.build(inputs_shape)
        self.score.build((*inputs_shape[:-1], self.units))

    def call(self, inputs, mask):
        scores = ops.cast(self.score(self.projection(inputs)), "float32")[..., 0]
        attention = masked_softmax(self.attention_lambda * scores, mask[:, None], axis=(1, 2))
        cells = ops.cast(inputs, "float32")
        context = ops.sum(attention[..., None] * cells, axis=(1, 2))
        if self.deviation:
            apart = ops.square(cells - context[:, None, None])
            variance = ops.sum(attention[..., None] * apart, axis=(1, 2))
            context = ops.concatenate([context, root_of(variance)], axis=-1)
        return ops.cast(context, self.compute_dtype), attention

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's two output shapes."""
        (_, channels), (_, height, frames) = output_shape
        channels //= 1 + self.deviation
        moments = (1 + self.deviation) * channels
        return height * frames * (channels * self.units + self.units + moments)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (inputs_shape[0], (1 + self.deviation) * inputs_shape[-1]), inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask):
        context, attention = self.compute_output_shape(inputs.shape)
        return (
            keras.KerasTensor(context, self.compute_dtype),
            keras.KerasTensor(attention, "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "attention_lambda": self.attention_lambda,
            "deviation": self.deviation,
        }
