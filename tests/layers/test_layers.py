"""What the shared harness asks of every layer, and that no layer is forgotten."""

import numpy as np
import pytest

from ser_keras import layers
from tests.harness import check_layer

RNG = np.random.default_rng(3)
MAP = RNG.normal(size=(2, 5, 7, 4)).astype("float32")
COLUMNS = np.arange(7)[None] < np.array([[7], [4]])
FRAMES = RNG.uniform(size=(2, 9, 6)).astype("float32")
FRAME_MASK = np.arange(9)[None] < np.array([[5], [9]])

CASES = {
    "LocalResponseNormalization": ({"size": 3, "alpha": 0.1}, MAP, (2, 5, 7, 4), None),
    "MaskedBatchNormalization": ({"momentum": 0.8}, MAP, (2, 5, 7, 4), COLUMNS),
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
}


@pytest.mark.parametrize("name", sorted(layers.__all__))
def test_layer_keeps_the_contract(name, tmp_path):
    arguments, inputs, shapes, mask = CASES[name]
    check_layer(getattr(layers, name), arguments, inputs, shapes, tmp_path, mask)
