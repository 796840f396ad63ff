"""The attention FCN against its NumPy reference, which is the same on every backend."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model, model_options
from ser_keras.models.cost import multiply_accumulates
from tests.harness import batch_of, check_model, slope_of
from tests.reference import alexnet_fcn as reference

DIM = 104  # two rows of cells after the last pooling, to keep the oracle quick


def small(**options):
    settings = {"width": 0.1, "attention_units": 16, "dropout": 0.0, **options}
    return build_model("alexnet_fcn", num_classes=4, dim=DIM, **settings)


def seeded(model, seed=11):
    """Gives every kernel and bias values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "attention", "classifier"):
        layer = model.get_layer(name)
        shapes = [weight.shape for weight in layer.weights]
        values[name] = [
            rng.normal(size=shape) * np.sqrt(2 / max(np.prod(shape[:-1]), 16)) for shape in shapes
        ]
        layer.set_weights(values[name])
    return values


@pytest.mark.parametrize("plan", ["bvlc", "torchvision"])
@pytest.mark.parametrize("length", [30, 103])
def test_logits_and_attention_equal_the_reference(plan, length):
    model = small(plan=plan)
    weights = seeded(model)
    features = np.random.default_rng(length).uniform(size=(length, DIM)).astype("float32")
    outputs = model(batch_of([features]))
    logits, attention = reference.forward(features, weights, plan=plan)
    np.testing.assert_allclose(outputs["logits"][0], logits, atol=1e-5)
    np.testing.assert_allclose(outputs["attention"][0], attention, atol=1e-5)


def test_one_training_step_follows_the_slope_of_the_reference():
    model = small(input_channels=1, input_scaling="standard")
    weights = seeded(model)
    rng = np.random.default_rng(2)
    utterances = [rng.normal(size=(length, DIM)).astype("float32") for length in (70, 87)]
    labels = np.array([1, 3])
    model.compile(
        keras.optimizers.SGD(1.0),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        jit_compile=False,
    )
    model.train_on_batch(batch_of(utterances), {"logits": labels})

    def loss():
        losses = [
            reference.cross_entropy(reference.forward(features, weights, channels=1)[0], label)
            for features, label in zip(utterances, labels, strict=True)
        ]
        return np.mean(losses)

    for name, index, cell in (
        ("conv1", 1, (3,)),
        ("conv2", 0, (2, 1, 3, 20)),
        ("attention", 0, (1, 7)),
        ("classifier", 0, (5, 1)),
    ):
        moved = keras.ops.convert_to_numpy(model.get_layer(name).weights[index])[cell]
        start = weights[name][index][cell]
        slope = slope_of(loss, weights[name][index], cell)
        np.testing.assert_allclose(start - moved, slope, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"plan": "torchvision", "final_pool": False},
        {"normalization": "batch", "input_channels": 1, "input_scaling": "standard"},
    ],
    ids=["bvlc", "torchvision", "batch-norm"],
)
def test_model_keeps_the_contract(options, tmp_path):
    check_model(lambda: small(**options), dim=DIM, num_classes=4, tmp_path=tmp_path)


def test_full_size_has_the_published_layers():
    model = build_model("alexnet_fcn", num_classes=4, dim=200)
    shapes = {
        f"conv{number}": tuple(model.get_layer(f"conv{number}").kernel.shape)
        for number in range(1, 6)
    }
    assert shapes == {
        "conv1": (11, 11, 3, 96),
        "conv2": (5, 5, 48, 256),
        "conv3": (3, 3, 256, 384),
        "conv4": (3, 3, 192, 384),
        "conv5": (3, 3, 192, 256),
    }
    # conv1..5, W and b and u of the attention, classifier; counted by hand.
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == (
        34944 + 307456 + 885120 + 663936 + 442624 + 256 * 256 + 256 + 256 + 256 * 4 + 4
    )


def test_multiply_accumulates_count_every_use_of_a_kernel():
    options = {"plan": "torchvision", "width": 0.1, "attention_units": 16}
    model = build_model("alexnet_fcn", num_classes=4, dim=70, **options)
    # 70 x 70: conv1 16x16 cells, pool 7, conv2 7, pool 3, conv3..5 3, pool 1.
    filters = [model.get_layer(f"conv{number}").filters for number in range(1, 6)]
    one, two, three, four, five = filters
    expected = 16 * 16 * 11 * 11 * 3 * one + 7 * 7 * 25 * one * two
    expected += 9 * 9 * (two * three + three * four + four * five)
    expected += five * 16 + 16 + five + five * 4
    assert multiply_accumulates(model, frames=70) == expected


def test_mixed_precision_keeps_logits_and_weights_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small(normalization="batch")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("conv2").compute_dtype == "bfloat16"
    outputs = model(batch_of([np.ones((80, DIM), "float32")]))
    assert keras.backend.standardize_dtype(outputs["logits"].dtype) == "float32"
    assert keras.backend.standardize_dtype(outputs["attention"].dtype) == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_empty_utterance_is_finite():
    outputs = small()({"features": np.ones((1, 5, DIM), "float32"), "mask": np.zeros((1, 5), bool)})
    assert np.isfinite(outputs["logits"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plan": "torchvison"}, "did you mean 'torchvision'"),
        ({"normalization": "layer"}, "Known: batch, lrn, none"),
        ({"input_scaling": "imagenet"}, "did you mean 'unit_imagenet'"),
        ({"input_channels": 2}, "expected 3 or 1"),
        ({"input_channels": 1}, "input_channels=3 or input_scaling='standard'"),
        ({"atention_units": 3}, "did you mean 'attention_units'"),
        ({"normalization": "lrn", "plan": "torchvision", "dim": 40}, "spectrogram200"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_model("alexnet_fcn", **{"num_classes": 4, "dim": DIM, **options})


def test_unknown_model_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'alexnet_fcn'"):
        model_options("alexnet")
