"""AlexNet on segments of one length: its convolutions, what a segment is, and what it refuses."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model
from ser_keras.models.weights.alexnet import load_weights
from tests.harness import batch_of, check_model
from tests.models.weights.weights_files import caffe_layers, write_npy
from tests.reference import alexnet_fcn as reference

DIM = 72


def alexnet(**options):
    settings = {"frames": 90, "width": 0.1, "dense_units": 24, "dropout": 0.0, **options}
    return build_model("alexnet_fixed", num_classes=4, dim=DIM, **settings)


def seeded(model, names, seed=11):
    """Gives every kernel and bias values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in names:
        shapes = [weight.shape for weight in model.get_layer(name).weights]
        values[name] = [
            rng.normal(size=shape) * np.sqrt(2 / max(np.prod(shape[:-1]), 16)) for shape in shapes
        ]
        model.get_layer(name).set_weights(values[name])
    return values


@pytest.mark.parametrize("plan", ["bvlc", "torchvision"])
@pytest.mark.parametrize("length", [30, 90, 97])
def test_alexnet_equals_the_reference_on_black_padded_segments(plan, length):
    model = alexnet(plan=plan)
    dense = ("fc6", "fc7", "classifier")
    weights = seeded(model, (*(f"conv{number}" for number in range(1, 6)), *dense))
    features = np.random.default_rng(length).uniform(size=(length, DIM)).astype("float32")
    image = reference.image_of(features[:90])
    image = np.pad(image, [(0, 0), (0, 90 - image.shape[1]), (0, 0)])
    x = reference.encode(image, weights, plan).ravel()
    for name in dense:
        kernel, bias = weights[name]
        x = x @ kernel + bias
        x = x if name == "classifier" else np.maximum(x, 0)
    np.testing.assert_allclose(model(batch_of([features]))["logits"][0], x, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"plan": "torchvision", "normalization": "batch", "input_scaling": "standard"}],
    ids=["bvlc", "torchvision"],
)
def test_alexnet_keeps_the_contract(options, tmp_path):
    check_model(
        lambda: alexnet(**options), dim=DIM, num_classes=4, tmp_path=tmp_path, lengths=(50, 90)
    )


def test_longer_segments_lose_their_end():
    model = alexnet()
    features = np.random.default_rng(5).uniform(size=(120, DIM)).astype("float32")
    whole, start = model(batch_of([features])), model(batch_of([features[:90]]))
    np.testing.assert_array_equal(whole["logits"], start["logits"])


def test_imagenet_weights_of_the_fully_convolutional_network_fit(tmp_path):
    path = tmp_path / "bvlc_alexnet.npy"
    write_npy(path, caffe_layers())
    fixed = alexnet(width=1.0, frames=70)
    fcn = build_model("alexnet_fcn", num_classes=4, dim=DIM)
    for model in (fixed, fcn):
        assert load_weights(model, path)["plan"] == "bvlc"
    features = np.random.default_rng(4).uniform(size=(70, DIM)).astype("float32")
    maps = [
        keras.Model(model.inputs, model.get_layer("pool5").output)(batch_of([features]))
        for model in (fixed, fcn)
    ]
    np.testing.assert_array_equal(*maps)


def test_parameters_are_those_of_the_convolutions_and_the_dense_layers():
    fcn = build_model("alexnet_fcn", num_classes=4, dim=DIM, width=0.1, attention_units=8)
    convolutions = sum(fcn.get_layer(f"conv{number}").count_params() for number in range(1, 6))
    flat = alexnet().get_layer("flatten").output.shape[-1]
    dense = flat * 24 + 24 + 24 * 24 + 24 + 24 * 4 + 4
    trainable = sum(int(np.prod(weight.shape)) for weight in alexnet().trainable_weights)
    assert trainable == convolutions + dense


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plan": "torchvison"}, "did you mean 'torchvision'"),
        ({"normalization": "layer"}, "Known: batch, lrn, none"),
        ({"input_scaling": "imagenet"}, "did you mean 'unit_imagenet'"),
        ({"frames": 69}, "frames=69; the convolutions need at least 70"),
        ({"dim": 40}, "spectrogram200"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_model("alexnet_fixed", **{"num_classes": 4, "dim": DIM, **options})
