"""Columns of maps lie where the model's strides put them."""

import json

import keras
import numpy as np
import pytest

from ser_keras.features.specs import get_spec
from ser_keras.layers.time_mask import StridedMask
from ser_keras.models import build_model
from serving.export.map_geometry import MapAxis, MapGeometry, map_axis, map_geometry
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
    columns = maps.predict({"features": features, "mask": mask}, verbose=0)
    changed = np.abs(columns[:-1] - columns[-1:]).max(axis=-1) > 1e-6
    # Of an image (batch, rows, columns, channels) any row counts.
    changed = changed if changed.ndim == 2 else changed.any(axis=1)
    time = map_axis(model)

    def touched(column):
        return np.flatnonzero(changed[:, column])

    # Where the utterance ends a column sees less to that side.
    last = frames - time.stride
    inner = [n for n in range(time.count(frames)) if touched(n)[0] > 0 and touched(n)[-1] < last]
    assert len(inner) > 1
    for column in inner:
        middle = (touched(column)[0] + touched(column)[-1] + 1) / 2
        assert middle == pytest.approx(time.centre + column * time.stride, abs=1.0)


def test_every_column_has_a_frame_for_its_weight(strided):
    time = map_axis(strided[0])
    for frames in range(1, 200):
        assert set(time.nearest_column(frames)) == set(range(time.count(frames)))


def test_the_number_of_columns_is_that_of_the_mask(strided):
    model, name, dim = strided
    output = model.get_layer(name).output
    masks = [layer.output for layer in model.layers if isinstance(layer, StridedMask)]
    if isinstance(output, list | tuple):
        masks.append(output[1])
    counts = keras.Model(model.input, masks[-1])
    time = map_axis(model)
    for frames in range(time.minimum, time.minimum + 3 * time.stride):
        mask = np.ones((1, frames), bool)
        columns = counts({"features": np.zeros((1, frames, dim)), "mask": mask})
        assert time.count(frames) == int(np.sum(columns))


def test_only_maps_with_cells_have_strided_rows():
    for name, (spec_name, options, _) in exports.SYSTEMS.items():
        spec = get_spec(spec_name)
        model = build_model(name, num_classes=4, dim=spec.dim, **options)
        geometry = map_geometry(model)
        has_cells = name in ("attention_cnn", "alexnet_fcn")
        assert geometry.frequency == (geometry.time if has_cells else MapAxis())
        assert (geometry.time.stride > 1) == has_cells
        assert MapGeometry.from_dict(json.loads(json.dumps(geometry.to_dict()))) == geometry
