"""One vector from the frames of an utterance and a weight for each."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, root_of

LEAST = 1e-6  # of a sum to divide by


@keras.saving.register_keras_serializable("ser_keras")
class WeightedPooling(MaskedLayer):
    """Sums the frames of an utterance, each times its weight.

    Implements MOMA, Sec. 3.3, where "the result is projected to 1024 nodes": with the weights a of
    the mixture, c = sum over t of a_t y_t has 1024 values.

    Args:
        deviation: bool. Also return the weighted standard deviation of each channel, behind the
            sum. Its weights are the positive ones, divided by their sum.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), False = padding.
        weights: float (batch, frames), 0 in the padding, or None for the mean over real frames.

    Returns:
        context: (batch, channels), or (batch, 2 channels) with the deviation.
        weights: float32 (batch, frames), as given, or what None stands for.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> context, weights = WeightedPooling()(ops.ones((1, 3, 8)), mask=mask)
        >>> tuple(context.shape), ops.convert_to_numpy(weights).tolist()
        ((1, 8), [[0.5, 0.5, 0.0]])

    Departures: the paper does not say how weights and frames become one vector; the sum is ours,
        and so is the deviation. Sums over time are float32 under every precision policy.
    """

    def __init__(self, deviation=False, **kwargs):
        super().__init__(**kwargs)
        self.deviation = deviation

    def call(self, inputs, mask, weights=None):
        weights = uniform_weights(mask) if weights is None else ops.cast(weights, "float32")
        frames = ops.cast(ops.where(mask[..., None], inputs, 0), "float32")
        context = _sum(weights, frames)
        if self.deviation:
            shares = ops.relu(weights)
            shares = shares / ops.maximum(ops.sum(shares, axis=-1, keepdims=True), LEAST)
            apart = ops.square(frames - _sum(shares, frames)[:, None])
            deviation = root_of(_sum(shares, apart))
            context = ops.concatenate([context, deviation], axis=-1)
        return ops.cast(context, self.compute_dtype), weights

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's two output shapes."""
        (_, size), (_, frames) = output_shape
        return frames * size

    def compute_output_shape(self, inputs_shape, mask_shape=None, weights_shape=None):
        batch, _, channels = inputs_shape
        return (batch, (1 + self.deviation) * channels), inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask, weights=None):
        context, shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(context, self.compute_dtype), keras.KerasTensor(shape, "float32")

    def get_config(self):
        return {**super().get_config(), "deviation": self.deviation}


def uniform_weights(mask):
    """Returns 1 / real frames for real frames and 0 for padding, float32 (batch, frames)."""
    frames = ops.cast(mask, "float32")
    return frames / ops.maximum(ops.sum(frames, axis=-1, keepdims=True), 1.0)


def _sum(weights, frames):
    return ops.matmul(weights[:, None], frames)[:, 0]
