"""Keras layers of the systems, one idea to a file."""

from ser_keras.layers.local_response_norm import LocalResponseNormalization
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.spectrogram_attention import SpectrogramAttention
from ser_keras.layers.spectrogram_image import SpectrogramImage
from ser_keras.layers.split_conv2d import SplitConv2D
from ser_keras.layers.time_mask import StridedMask, TimeMask

__all__ = [
    "LocalResponseNormalization",
    "MaskedBatchNormalization",
    "SpectrogramAttention",
    "SpectrogramImage",
    "SplitConv2D",
    "StridedMask",
    "TimeMask",
]
