"""Base of layers that are given their mask by name."""

import keras
from keras import ops

LEAST_VARIANCE = 1e-6


class MaskedLayer(keras.layers.Layer):
    """A layer whose `mask` is an argument of the call and ends there.

    Keras attaches masks to tensors and hands them on. Convolution and pooling change the number
    of frames, so that an attached mask would soon be wrong: here each layer is told its mask, and
    attaches none to what it returns.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs, previous_mask=None):
        """Returns None: the layers that follow get their mask as an argument."""
        return None


def masked_softmax(scores, mask, axis=-1):
    """Returns the softmax of the real positions, float32, 0 in the padding.

    Args:
        scores: (batch, ...). Cast to float32 whatever the precision policy.
        mask: bool, broadcast to `scores`, False = padding. Every utterance needs one True.
        axis: int or tuple of int. What sums to 1.
    """
    scores = ops.where(mask, ops.cast(scores, "float32"), -1e9)
    # Keras 3.15's own needs fully known shapes for two axes on TensorFlow, and warns of utterances
    # of one frame.
    powers = ops.exp(scores - ops.max(scores, axis=axis, keepdims=True))
    return powers / ops.sum(powers, axis=axis, keepdims=True)


def root_of(variance):
    """Returns deviations, never of less than `LEAST_VARIANCE`: at 0 a root has no slope."""
    return ops.sqrt(ops.maximum(variance, LEAST_VARIANCE))
