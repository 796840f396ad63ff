"""VGG-16 on segments of one length: its convolutions, ImageNet's weights, and what it refuses."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError, WeightsError
from ser_keras.models import build_model
from ser_keras.models.cost import multiply_accumulates
from ser_keras.models.weights.identify import models_for
from ser_keras.models.weights.pretrained import load_pretrained, weights_options
from tests.harness import batch_of, check_padding, check_saving
from tests.models.weights.weights_files import caffe_layers, vgg_weights, write_npy, write_vgg
from tests.reference import alexnet_fcn as reference

DIM = 72


def vgg16(**options):
    settings = {"frames": 40, "dense_units": 16, "dropout": 0.0, **options}
    return build_model("vgg16_fixed", num_classes=4, dim=32, **settings)


@pytest.mark.parametrize("scaling", ["unit_imagenet", "standard"])
def test_vgg16_is_the_published_network_on_black_padded_segments(scaling):
    model = vgg16(input_scaling=scaling)
    published = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 40, 3))
    for layer in published.layers[1:]:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    features = np.random.default_rng(1).uniform(size=(33, 32)).astype("float32")
    image = reference.image_of(features, imagenet=scaling == "unit_imagenet")[:, :33]
    image = np.pad(image, [(0, 0), (0, 7), (0, 0)]).astype("float32")
    maps = keras.Model(model.inputs, model.get_layer("flatten").input)(batch_of([features]))
    np.testing.assert_allclose(maps, published(image[None]), atol=1e-4)


def test_vgg16_keeps_the_contract(tmp_path):
    model = vgg16()
    rng = np.random.default_rng(8)
    utterances = [rng.uniform(size=(length, 32)).astype("float32") for length in (20, 40)]
    check_padding(model, utterances, rng)
    check_saving(model, batch_of(utterances), tmp_path)


@pytest.mark.slow
def test_vgg16_learns_by_heart():
    keras.utils.set_random_seed(3)
    model = vgg16(input_scaling="standard", frames=32, dense_units=64)
    rng = np.random.default_rng(9)
    batch = batch_of([rng.normal(size=(32, 32)).astype("float32") for _ in range(8)])
    labels = np.arange(8) % 3
    model.compile(
        keras.optimizers.Adam(1e-4),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        jit_compile=False,
    )
    for _ in range(40):
        model.train_on_batch(batch, {"logits": labels})
        logits = keras.ops.convert_to_numpy(model(batch)["logits"])
        if (logits.argmax(axis=-1) == labels).all():
            return
    pytest.fail(f"classes {logits.argmax(axis=-1)} instead of {labels}")


@pytest.mark.parametrize("layout", ["published", "keras 3"])
def test_imagenet_weights_of_vgg16_give_its_activations(tmp_path, layout):
    layers, path = vgg_weights(), tmp_path / "vgg16.weights.h5"
    published = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 40, 3))
    for name, arrays in layers.items():
        published.get_layer(name).set_weights(arrays)
    if layout == "published":
        write_vgg(path, layers)
    else:
        published.save_weights(path)
    model = vgg16()
    report = load_pretrained("vgg16_fixed", model, path)
    assert (report["plan"], report["layers"]) == ("vgg16", list(layers))
    assert models_for(path) == ("vgg16_fixed",)
    features = np.random.default_rng(1).uniform(size=(40, 32)).astype("float32")
    maps = keras.Model(model.inputs, model.get_layer("flatten").input)(batch_of([features]))
    # Beyond the edge is ImageNet's mean, on the scale of 255 and in the order of the channels.
    edge = np.array([0.406, 0.456, 0.485]) * 255
    image = np.broadcast_to(edge, (34, 42, 3)).copy()
    image[1:-1, 1:-1] = features.T[:, :, None] * 255
    windows = np.lib.stride_tricks.sliding_window_view(
        image - [103.939, 116.779, 123.68], (3, 3), axis=(0, 1)
    )
    kernel, bias = layers["block1_conv1"]
    first = np.maximum(np.einsum("ftchw,hwcn->ftn", windows, kernel) + bias, 0)
    rest = keras.Model(published.get_layer("block1_conv1").output, published.output)
    np.testing.assert_allclose(maps, rest(first[None].astype("float32")), atol=1e-4)


def test_files_that_are_not_vgg16_are_refused(tmp_path):
    path = tmp_path / "vgg16.h5"
    layers = vgg_weights()
    layers["block3_conv2"][0] = layers["block3_conv2"][0][..., :-1]
    write_vgg(path, layers)
    with pytest.raises(WeightsError, match=r"block3_conv2.*expected \(3, 3, 256, 256\)"):
        models_for(path)
    write_vgg(path, {"block1_conv1": layers["block1_conv1"]})
    with pytest.raises(WeightsError, match="has no convolution block1_conv2"):
        load_pretrained("vgg16_fixed", vgg16(), path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(WeightsError, match="cannot be read as HDF5"):
        models_for(path)
    write_npy(path.with_suffix(".npy"), caffe_layers())
    with pytest.raises(WeightsError, match="expected an HDF5 file for VGG-16"):
        weights_options("vgg16_fixed", path.with_suffix(".npy"))


def test_work_and_parameters_are_counted_layer_by_layer():
    model = vgg16(dense_units=8, frames=64)
    # 32 x 64 cells, halved before each block; two, two, three, three, three convolutions.
    expected, channels, cells, parameters = 0, 3, 32 * 64, 0
    for count, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            expected += cells * 9 * channels * filters
            parameters += 9 * channels * filters + filters
            channels = filters
        cells //= 4
    assert parameters == 14714688
    expected += 1024 * 8 + 8 * 8 + 8 * 4
    assert multiply_accumulates(model, frames=17) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 31}, "at least 32"),
        ({"frames": 300.0}, "frames=300.0"),
        ({"input_scaling": "caffe"}, "Known: standard, unit_imagenet"),
        ({"width": 0.5}, "unknown option of model vgg16_fixed"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_model("vgg16_fixed", **{"num_classes": 4, "dim": DIM, **options})
