"""Class scores as what each cell says of a class, times how much the cell counts."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, masked_softmax


@keras.saving.register_keras_serializable("ser_keras")
class BottomUpAttention(MaskedLayer):
    """Scores each class by a map of its own, weighted by one map for all classes.

    Implements Li et al. 2018, Sec. 2.4.2, Eq. (10), and Sec. 3.3 ("CNN TF Att.pooling"):
    score_k = sum over all height x frames cells of (X a_k) * softmax(X b).

    Args:
        num_classes: int. Number of top-down maps, K.

    Call arguments:
        inputs: (batch, height, frames, channels).
        mask: bool (batch, frames), False = padding. Every utterance needs one True.

    Returns:
        scores: float32 (batch, K).
        bottom_up: float32 (batch, height, frames), summing to 1, and 0 in the padding.
        top_down: float32 (batch, height, frames, K), 0 in the padding.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> maps = BottomUpAttention(num_classes=4)(ops.ones((1, 5, 3, 8)), mask=mask)
        >>> [tuple(tensor.shape) for tensor in maps]
        [(1, 4), (1, 5, 3), (1, 5, 3, 4)]

    Departures: the scores are the sum of Eq. (10); the average that Sec. 3.3 speaks of would divide
        the logits of a softmax-weighted map once more by the number of cells. The 1x1 convolution
        of the bottom-up map has no bias, which a softmax would cancel. Padded cells are masked.
        Softmax and sum are computed in float32 under every precision policy.
    """

    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        # Dense on the last axis is the 1x1 convolution.
        self.top_down = keras.layers.Dense(num_classes, name="top_down", dtype=self.dtype_policy)
        self.bottom_up = keras.layers.Dense(
            1, use_bias=False, name="bottom_up", dtype=self.dtype_policy
        )

    def build(self, inputs_shape, mask_shape=None):
        self.top_down.build(inputs_shape)
        self.bottom_up.build(inputs_shape)

    def call(self, inputs, mask):
        real = mask[:, None, :, None]
        inputs = ops.where(real, inputs, ops.zeros((), inputs.dtype))
        top_down = ops.where(real, ops.cast(self.top_down(inputs), "float32"), 0.0)
        bottom_up = masked_softmax(self.bottom_up(inputs)[..., 0], mask[:, None], axis=(1, 2))
        return ops.sum(bottom_up[..., None] * top_down, axis=(1, 2)), bottom_up, top_down

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's three output shapes."""
        _, _, (_, height, frames, classes) = output_shape
        channels = self.top_down.kernel.shape[0]
        return height * frames * (channels * (classes + 1) + classes)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        maps = inputs_shape[:-1]
        return (inputs_shape[0], self.num_classes), maps, (*maps, self.num_classes)

    def compute_output_spec(self, inputs, mask):
        shapes = self.compute_output_shape(inputs.shape)
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
