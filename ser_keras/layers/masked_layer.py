"""Base of layers that are given their mask by name."""

import keras


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
        """Returns None: what follows is told its own mask."""
        return None
