"""Attention over the frames of an utterance: one vector from many."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, masked_softmax, root_of


@keras.saving.register_keras_serializable("ser_keras")
class AttentionPooling(MaskedLayer):
    """Averages the frames of an utterance, by weights that are learnt.

    Implements Sun and Wu 2019 (sparse autoencoder), Sec. II-B, Eq. (1)-(2):
    alpha = softmax over t of u^T y_t; z = sum over t of alpha_t y_t. With `units` it scores
    tanh(W y_t + b) instead of y_t, as Lin et al. 2017, Eq. (5), so that no frame outweighs the
    others by its size alone.

    Args:
        units: int. Size of the hidden layer W; 0 leaves it out.
        deviation: bool. Also return the weighted standard deviation of each channel, behind the
            mean.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), False = padding. Every utterance needs one True.

    Returns:
        context: (batch, channels), or (batch, 2 channels) with the deviation.
        attention: float32 (batch, frames), summing to 1, and 0 in the padding.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> context, attention = AttentionPooling()(ops.ones((1, 3, 8)), mask=mask)
        >>> tuple(context.shape), ops.convert_to_numpy(attention).tolist()
        ((1, 8), [[0.5, 0.5, 0.0]])

    Departures: padded frames are masked, the paper does not say how it batches; softmax and sums
        are computed in float32 under every precision policy; the deviation is ours: it tells a
        lively utterance from a flat one of the same mean.
    """

    def __init__(self, deviation=False, units=0, **kwargs):
        super().__init__(**kwargs)
        self.deviation, self.units = deviation, units
        self.hidden = keras.layers.Identity()
        if units:
            self.hidden = keras.layers.Dense(
                units, activation="tanh", name="hidden", dtype=self.dtype_policy
            )
        self.score = keras.layers.Dense(1, use_bias=False, name="score", dtype=self.dtype_policy)

    def build(self, inputs_shape, mask_shape=None):
        self.hidden.build(inputs_shape)
        self.score.build((*inputs_shape[:-1], self.units or inputs_shape[-1]))

    def call(self, inputs, mask):
        inputs = ops.where(mask[..., None], inputs, ops.zeros((), inputs.dtype))
        attention = masked_softmax(self.score(self.hidden(inputs))[..., 0], mask)
        frames = ops.cast(inputs, "float32")
        mean = ops.matmul(attention[:, None], frames)
        context = mean[:, 0]
        if self.deviation:
            variance = ops.matmul(attention[:, None], ops.square(frames - mean))[:, 0]
            deviation = root_of(variance)
            context = ops.concatenate([context, deviation], axis=-1)
        return ops.cast(context, self.compute_dtype), attention

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's two output shapes."""
        (_, size), (_, frames) = output_shape
        channels = size // (1 + self.deviation)
        scored = channels * self.units + self.units if self.units else channels
        return frames * (scored + size)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        batch, _, channels = inputs_shape
        return (batch, (1 + self.deviation) * channels), inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask):
        context, attention = self.compute_output_shape(inputs.shape)
        return (
            keras.KerasTensor(context, self.compute_dtype),
            keras.KerasTensor(attention, "float32"),
        )

    def get_config(self):
        return {**super().get_config(), "deviation": self.deviation, "units": self.units}
