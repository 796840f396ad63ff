"""Mixture of multi-view attention: weights of frames, and what is made of the frames with them."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, masked_softmax
from ser_keras.layers.weighted_pooling import uniform_weights


@keras.saving.register_keras_serializable("ser_keras")
class ProductAttention(MaskedLayer):
    """Weighs frames by how they agree with their mean over time.

    Implements the attention block of MOMA, Sec. 3.2, Eq. (4)-(5), and one block of Eq. (7)-(8):
    E = tanh(Wh Y) * tanh(Wm M) with M the mean of Y over time; a = softmax over time of We E.

    Args:
        units: int. Size of the context E, the rows of Wh and Wm.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), False = padding. Every utterance needs one True.

    Returns:
        float32 (batch, frames), summing to 1, and 0 in the padding.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> attention = ProductAttention(units=4)(ops.ones((1, 3, 8)), mask=mask)
        >>> ops.convert_to_numpy(attention).tolist()
        [[0.5, 0.5, 0.0]]

    Departures: mean and softmax leave the padding out, the paper does not say how it batches; both
        are computed in float32 under every precision policy; no biases, as in the equations.
    """

    def __init__(self, units=128, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        options = {"use_bias": False, "dtype": self.dtype_policy}
        self.frame = keras.layers.Dense(units, activation="tanh", name="frame", **options)
        self.mean = keras.layers.Dense(units, activation="tanh", name="mean", **options)
        self.score = keras.layers.Dense(1, name="score", **options)

    def build(self, inputs_shape, mask_shape=None):
        self.frame.build(inputs_shape)
        self.mean.build((inputs_shape[0], inputs_shape[-1]))
        self.score.build((*inputs_shape[:-1], self.units))

    def call(self, inputs, mask):
        inputs = ops.where(mask[..., None], inputs, 0)
        mean = ops.matmul(uniform_weights(mask)[:, None], ops.cast(inputs, "float32"))[:, 0]
        context = self.frame(inputs) * self.mean(ops.cast(mean, self.compute_dtype))[:, None]
        return masked_softmax(self.score(context)[..., 0], mask)

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the shape of the output."""
        frames, channels = output_shape[1], self.frame.kernel.shape[0]
        return (frames + 1) * channels * self.units + frames * (2 * self.units + channels)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask):
        return keras.KerasTensor(inputs.shape[:-1], "float32")

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("ser_keras")
class ResidualAttention(MaskedLayer):
    """Adds to each frame the frame times its attention.

    Implements the first attention layer of MOMA, Sec. 3.2, Eq. (4)-(6): Y := Y + a * Y with the
    weights a of a `ProductAttention`.

    Args:
        units: int. Of the `ProductAttention`.
        scale_by_length: bool. Y := Y + frames * a * Y, so that a uniform attention doubles Y.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), False = padding. Every utterance needs one True.

    Returns:
        outputs: (batch, frames, channels), 0 in the padding.
        attention: float32 (batch, frames), summing to 1 (Figs. 2 and 3).

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> outputs, attention = ResidualAttention(units=4)(ops.ones((1, 3, 8)), mask=mask)
        >>> ops.convert_to_numpy(outputs)[0, :, 0].tolist()
        [1.5, 1.5, 0.0]

    Departures: the paper states the size of the projection Y', frames x 1024 (Sec. 3.3). Each frame
        times its weight has this size; so has the weighted sum, repeated for every frame. Here it
        is the first. The weights are then about 1 / frames and the layer nearly the identity, hence
        `scale_by_length`, which is ours.
    """

    def __init__(self, units=128, scale_by_length=False, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.scale_by_length = scale_by_length
        self.block = ProductAttention(units, name="block", dtype=self.dtype_policy)

    def build(self, inputs_shape, mask_shape=None):
        self.block.build(inputs_shape)

    def call(self, inputs, mask):
        attention = self.block(inputs, mask=mask)
        share = attention
        if self.scale_by_length:
            share = attention * ops.sum(ops.cast(mask, "float32"), axis=-1, keepdims=True)
        inputs = ops.where(mask[..., None], inputs, 0)
        return inputs * ops.cast(1.0 + share, inputs.dtype)[..., None], attention

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's two output shapes."""
        (_, frames, channels), attention = output_shape
        return frames * channels + self.block.multiply_accumulates(attention)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return inputs_shape, inputs_shape[:-1]

    def compute_output_spec(self, inputs, mask):
        return (
            keras.KerasTensor(inputs.shape, self.compute_dtype),
            keras.KerasTensor(inputs.shape[:-1], "float32"),
        )

    def get_config(self):
        config = {"units": self.units, "scale_by_length": self.scale_by_length}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("ser_keras")
class AttentionMixture(MaskedLayer):
    """Sums several views of which frames matter, each with a trained share.

    Implements the second attention layer of MOMA, Sec. 3.2, Eq. (7)-(9): a = sum over n of
    gamma_n a_n, with blocks a_n of their own weights on the same frames.

    Args:
        units: int. Of each `ProductAttention`.
        blocks: int. N, the number of views.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), False = padding. Every utterance needs one True.

    Returns:
        attention: float32 (batch, frames), summing to the sum of gamma (Figs. 4 and 5).
        views: float32 (batch, blocks, frames), each summing to 1.
        gamma: float32 (batch, blocks), the same in every row.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> tensors = AttentionMixture(units=4, blocks=3)(ops.ones((1, 3, 8)), mask=mask)
        >>> [tuple(tensor.shape) for tensor in tensors]
        [(1, 3), (1, 3, 3), (1, 3)]

    Departures: gamma starts uniform in (0, 1); the paper says "randomly" and names no distribution.
    """

    def __init__(self, units=128, blocks=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = blocks
        self.views = [
            ProductAttention(units, name=f"block{number}", dtype=self.dtype_policy)
            for number in range(1, blocks + 1)
        ]

    def build(self, inputs_shape, mask_shape=None):
        for view in self.views:
            view.build(inputs_shape)
        initializer = keras.initializers.RandomUniform(0.0, 1.0)
        self.gamma = self.add_weight(
            name="gamma", shape=(self.blocks,), initializer=initializer, autocast=False
        )

    def call(self, inputs, mask):
        views = ops.stack([view(inputs, mask=mask) for view in self.views], axis=1)
        gamma = ops.broadcast_to(self.gamma, (ops.shape(inputs)[0], self.blocks))
        return ops.sum(gamma[..., None] * views, axis=1), views, gamma

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's three output shapes."""
        attention = output_shape[0]
        return self.blocks * (attention[1] + self.views[0].multiply_accumulates(attention))

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        batch, frames, _ = inputs_shape
        return (batch, frames), (batch, self.blocks, frames), (batch, self.blocks)

    def compute_output_spec(self, inputs, mask):
        return tuple(
            keras.KerasTensor(shape, "float32") for shape in self.compute_output_shape(inputs.shape)
        )

    def get_config(self):
        return {**super().get_config(), "units": self.units, "blocks": self.blocks}
