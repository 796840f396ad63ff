"""Columns of maps lie where the model's strides put them."""

import keras
import numpy as np
import pytest

from ser_keras.models import build_model
from serving.explain.map_geometry import columns
from tests.serving import exports

STRIDED = {
    "fcn": ("alexnet_fcn", "pool5", 72, exports.SYSTEMS["alexnet_fcn"][1]),
    "fcn, padded": (
        "alexnet_fcn",
        "pool5",
        72,
        {"plan": "torchvision", "normalization": "none", "width": 0.1},
    ),
    "cnn": (
        "attention_cnn",
        "pool3",
        16,
        {"pool_after": [1, 2, 3], "width": 0.2, "input_scaling": "standard"},
    ),
    "moma": ("moma", "front", 5, {"front": "conv", "units": 2, "attention_units": 2}),
    "autoencoder": ("sparse_autoencoder", "strided", 5, {"encoder_units": 9, "stride": 3}),
    "vrnn": ("predictive_vrnn", "windows", 5, {"window_frames": 11, "window_hop": 6}),
    "vrnn, front": (
        "predictive_vrnn",
        "windows",
        5,
        {"window_frames": 13, "window_hop": 6, "front_layers": 2, "front_units": 4},
    ),
}


@pytest.fixture(params=STRIDED)
def strided(request):
    """(a model, the name of the layer whose output its maps are of, values of a frame)."""
    name, layer, dim, options = STRIDED[request.param]
    keras.utils.set_random_seed(0)
    return build_model(name, num_classes=4, dim=dim, **options), layer, dim


def test_a_column_lies_in_the_middle_of_the_frames_that_change_it(strided):
    model, layer, dim = strided
    output = model.get_layer(layer).output
    maps = keras.Model(model.input, output[0] if isinstance(output, list | tuple) else output)
    maps.jit_compile = False
    frames = 420 if dim == 72 else 101
    rng = np.random.default_rng(0)
    # In the nth row another nth frame, in the last none.
    features = np.repeat(rng.normal(size=(1, frames, dim)), frames + 1, axis=0)
    features[np.arange(frames), np.arange(frames)] = 20 * rng.normal(size=(frames, dim))
    mask = np.ones(features.shape[:2], bool)
    found = maps.predict({"features": features, "mask": mask}, verbose=0)
    changed = np.abs(found[:-1] - found[-1:]).max(axis=-1) > 1e-6
    # Of an image (batch, rows, columns, channels) any row counts.
    changed = changed if changed.ndim == 2 else changed.any(axis=1)
    time = columns(model, frames)

    def touched(column):
        return np.flatnonzero(changed[:, column])

    # Where the utterance ends a column sees less to that side.
    last = frames - time.stride
    inner = [n for n in range(time.count) if touched(n)[0] > 0 and touched(n)[-1] < last]
    assert len(inner) > 1
    for column in inner:
        middle = (touched(column)[0] + touched(column)[-1] + 1) / 2
        assert middle == pytest.approx(time.centre + column * time.stride, abs=1.0)


def test_every_column_has_a_frame_for_its_weight(strided):
    model, _, _ = strided
    for frames in range(1, 200):
        time = columns(model, frames)
        assert set(time.owners(frames)) == set(range(time.count))
