"""Keras layers of the systems, one idea to a file."""

from ser_keras.layers.bilinear_pooling import BilinearPooling
from ser_keras.layers.bottom_up_attention import BottomUpAttention
from ser_keras.layers.fit_frames import FitFrames
from ser_keras.layers.frame_attention import AttentionPooling
from ser_keras.layers.local_response_norm import LocalResponseNormalization
from ser_keras.layers.masked_average_pooling import MaskedAveragePooling2D
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.moma_attention import (
    AttentionMixture,
    ProductAttention,
    ResidualAttention,
)
from ser_keras.layers.mu_law import MuLaw
from ser_keras.layers.predictive_vrnn import PredictiveVRNN
from ser_keras.layers.projected_lstm import BidirectionalLSTM, ProjectedLSTM
from ser_keras.layers.sparse_dense import SparseDense
from ser_keras.layers.spectrogram_attention import SpectrogramAttention
from ser_keras.layers.spectrogram_image import SpectrogramImage
from ser_keras.layers.split_conv2d import SplitConv2D
from ser_keras.layers.time_mask import StridedMask, TimeMask
from ser_keras.layers.weighted_pooling import WeightedPooling
from ser_keras.layers.window_statistics import WindowStatistics

__all__ = [
    "AttentionMixture",
    "AttentionPooling",
    "BidirectionalLSTM",
    "BilinearPooling",
    "BottomUpAttention",
    "FitFrames",
    "LocalResponseNormalization",
    "MaskedAveragePooling2D",
    "MaskedBatchNormalization",
    "MuLaw",
    "PredictiveVRNN",
    "ProductAttention",
    "ProjectedLSTM",
    "ResidualAttention",
    "SparseDense",
    "SpectrogramAttention",
    "SpectrogramImage",
    "SplitConv2D",
    "StridedMask",
    "TimeMask",
    "WeightedPooling",
    "WindowStatistics",
]
