"""Mu-law of a magnitude spectrogram, scaled segment by segment."""

import math

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer


@keras.saving.register_keras_serializable("ser_keras")
class MuLaw(MaskedLayer):
    """Scales each segment linearly to [lowest, 1] and bends the result by the mu-law.

    Implements Li et al. 2018, Sec. 2.1, Eq. (1): F(x) = sgn(x) ln(1 + mu |x|) / ln(1 + mu), after
    the segment's smallest value went to `lowest` and its largest to 1.

    Args:
        mu: float. How strongly values around 0 are spread, positive.
        lowest: float. Where the smallest value goes, from -1 to below 1.

    Call arguments:
        inputs: (batch, frames, bins).
        mask: bool (batch, frames), False = padding.

    Returns:
        The shape of `inputs`, in [-1, 1], and 0 in the padding.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, True, False]])
        >>> inputs = ops.reshape(ops.convert_to_tensor([4.0, 8.0, 6.0, 99.0]), (1, 4, 1))
        >>> [float(value) for value in ops.convert_to_numpy(MuLaw()(inputs, mask=mask)).ravel()]
        [-1.0, 1.0, 0.0, 0.0]

    Departures: the paper names no unit of the linear scaling; here it is the segment, so that
        loudness of the recording does not count, and only its real frames, so that padding does
        not. Padding is 0 and not silence: 0 is what a convolution finds outside its image, so that
        a frame beside the padding sees what it would see at the edge. With the paper's [-1, 1]
        nearly all of a magnitude spectrogram falls next to -1, where the mu-law is flat: in the
        EmoDB sentences tried 19 of 20 cells end below -0.97. `lowest=0` puts silence where it is
        steep. A constant segment is all `lowest`. Computed in float32 under every precision policy.
    """

    def __init__(self, mu=255.0, lowest=-1.0, **kwargs):
        super().__init__(**kwargs)
        if not mu > 0:
            raise ValueError(f"MuLaw: `mu` must be positive. Received: mu={mu}")
        if not -1 <= lowest < 1:
            raise ValueError(f"MuLaw: `lowest` lies in [-1, 1). Received: lowest={lowest}")
        self.mu = mu
        self.lowest = lowest

    def call(self, inputs, mask):
        x = ops.cast(inputs, "float32")
        real = mask[:, :, None]
        smallest = ops.min(ops.where(real, x, math.inf), axis=(1, 2), keepdims=True)
        largest = ops.max(ops.where(real, x, -math.inf), axis=(1, 2), keepdims=True)
        extent = ops.where(largest > smallest, largest - smallest, 1.0)
        share = ops.where(real, x - smallest, 0.0) / extent
        x = self.lowest + (1.0 - self.lowest) * share
        bent = ops.sign(x) * ops.log1p(self.mu * ops.abs(x)) / math.log1p(self.mu)
        return ops.cast(ops.where(real, bent, 0.0), self.compute_dtype)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "mu": self.mu, "lowest": self.lowest}
