"""What the shared harness asks of every layer, and that no layer is forgotten."""

import importlib
import pkgutil

import keras
import numpy as np
import pytest

from ser_keras import layers
from tests.harness import check_layer

# A base class, a cell that the layer around it is checked with, layers that take the statistics of
# a speaker as well, and one whose values half precision cannot hold: each has a test of its own.
PARTS = {
    *("MaskedLayer", "PredictiveCell", "SpeakerNormalization", "EmbeddingNormalization"),
    "UtteranceFunctionals",
}

RNG = np.random.default_rng(3)
MAP = RNG.normal(size=(2, 5, 7, 4)).astype("float32")
COLUMNS = np.arange(7)[None] < np.array([[7], [4]])
FRAMES = RNG.uniform(size=(2, 9, 6)).astype("float32")
FRAME_MASK = np.arange(9)[None] < np.array([[5], [9]])

CASES = {
    "AttentionMixture": (
        {"units": 3, "blocks": 2},
        FRAMES,
        [(2, 9), (2, 2, 9), (2, 2)],
        FRAME_MASK,
    ),
    "AttentionPooling": ({"deviation": True, "units": 3}, FRAMES, [(2, 12), (2, 9)], FRAME_MASK),
    "AverageFrames": ({"size": 2}, FRAMES, (2, 5, 6), FRAME_MASK),
    "BidirectionalLSTM": ({"units": 4}, FRAMES, (2, 9, 8), FRAME_MASK),
    "BilinearPooling": ({}, MAP, [(2, 16), (2, 5, 7)], COLUMNS),
    "BottomUpAttention": (
        {"num_classes": 3},
        MAP,
        [(2, 3), (2, 5, 7), (2, 5, 7, 3)],
        COLUMNS,
    ),
    "FitFrames": ({"minimum": 12, "maximum": 14}, FRAMES, [(2, 12, 6), (2, 12)], FRAME_MASK),
    "FrameMask": ({}, FRAMES, (2, 9, 6), FRAME_MASK),
    "LocalResponseNormalization": ({"size": 3, "alpha": 0.1}, MAP, (2, 5, 7, 4), None),
    "MaskedAveragePooling2D": ({}, MAP, [(2, 4), (2, 5, 7)], COLUMNS),
    "MaskedBatchNormalization": ({"momentum": 0.8}, MAP, (2, 5, 7, 4), COLUMNS),
    "MuLaw": ({"mu": 10.0, "lowest": -0.5}, FRAMES, (2, 9, 6), FRAME_MASK),
    "PredictiveVRNN": (
        {"recognition_units": 5, "generation_units": 4, "classification_units": 3, "latent_dim": 2},
        FRAMES,
        [(2, 9, 6), (2, 9, 6), (2, 9, 6), (2, 9, 2), (2, 9, 2), (2, 9, 3)],
        FRAME_MASK,
    ),
    "ProductAttention": ({"units": 3}, FRAMES, (2, 9), FRAME_MASK),
    "ProjectedLSTM": ({"units": 4, "reverse": True}, FRAMES, (2, 9, 4), FRAME_MASK),
    "ResidualAttention": (
        {"units": 3, "scale_by_length": True},
        FRAMES,
        [(2, 9, 6), (2, 9)],
        FRAME_MASK,
    ),
    "SparseDense": ({"units": 8, "noise": 0.5}, FRAMES, (2, 9, 8), FRAME_MASK),
    "SpectrogramAttention": (
        {"units": 6, "attention_lambda": 0.5},
        MAP,
        [(2, 4), (2, 5, 7)],
        COLUMNS,
    ),
    "SpectrogramImage": (
        {"channels": 3, "imagenet": True, "minimum_frames": 12},
        FRAMES,
        [(2, 6, 12, 3), (2, 12)],
        FRAME_MASK,
    ),
    "SplitConv2D": ({"filters": 6, "kernel_size": (3, 3), "groups": 2}, MAP, (2, 3, 5, 6), None),
    "StridedMask": ({"window": 3, "stride": 2, "padding": 1}, FRAME_MASK, (2, 5), None),
    "TimeMask": ({}, MAP, (2, 5, 7, 4), COLUMNS),
    "WeightedPooling": ({"deviation": True}, FRAMES, [(2, 12), (2, 9)], FRAME_MASK),
    "WindowStatistics": ({"window": 4, "hop": 2}, FRAMES, [(2, 5, 12), (2, 5)], FRAME_MASK),
}


def layer_classes():
    """Returns every layer of the package by name."""
    names = [f"{layers.__name__}.{module.name}" for module in pkgutil.iter_modules(layers.__path__)]
    return {
        name: value
        for module in map(importlib.import_module, names)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, keras.layers.Layer)
        and value.__module__ == module.__name__
        and name not in PARTS
    }


LAYERS = layer_classes()


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layer_keeps_the_contract(name, tmp_path):
    arguments, inputs, shapes, mask = CASES[name]
    check_layer(LAYERS[name], arguments, inputs, shapes, tmp_path, mask)
