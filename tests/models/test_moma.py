"""MOMA against its NumPy reference, which is the same on every backend."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model
from ser_keras.models.cost import multiply_accumulates
from tests.harness import batch_of, check_model, check_padding, check_saving, slope_of
from tests.reference import moma as reference

DIM = 5
CLASSES = 4
LENGTHS = (9, 4, 1)
RNG = np.random.default_rng(3)
UTTERANCES = [RNG.normal(size=(length, DIM)).astype("float32") for length in LENGTHS]
OUTPUTS = ("logits", "attention", "attention_layer1", "attention_blocks", "gamma")


def small(dim=DIM, **options):
    settings = {"units": 4, "attention_units": 6, "front_units": 3, **options}
    return build_model("moma", num_classes=CLASSES, dim=dim, **settings)


def seeded(model, seed=11):
    """Gives every layer values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {}
    for layer in model.layers:
        if layer.weights and layer.name != "normalizer":
            values[layer.name] = [rng.normal(scale=0.6, size=w.shape) for w in layer.weights]
            layer.set_weights(values[layer.name])
    return values


def numpy(outputs):
    return {name: keras.ops.convert_to_numpy(tensor) for name, tensor in outputs.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale_by_length": True, "layers": 1, "blocks": 1},
        {"blocks": 5, "projection": "tanh", "pooling": "mean_std"},
        {"front": "conv", "layers": 3},
        {"attention": "single"},
        {"attention": "none", "pooling": "mean_std"},
        {"attention": "none", "dropout": 0.5, "input_dropout": 0.5},
        {"recurrent_dropout_between": 0.5, "dropout": 0.5},
    ],
    ids=lambda options: "-".join(options) or "paper",
)
def test_outputs_equal_the_reference(options):
    model = small(**options)
    weights = seeded(model)
    outputs = numpy(model(batch_of(UTTERANCES, extra=2)))
    for row, utterance in enumerate(UTTERANCES):
        expected = reference.forward(
            utterance.astype(float),
            weights,
            scale_by_length=options.get("scale_by_length", False),
            deviation=options.get("pooling") == "mean_std",
        )
        assert set(expected) == set(outputs)
        for name, value in expected.items():
            array = outputs[name][row]
            if name.startswith("attention"):
                assert (array[..., value.shape[-1] :] == 0).all()
                array = array[..., : value.shape[-1]]
            np.testing.assert_allclose(array, value, atol=1e-5, err_msg=name)


def test_outputs_are_those_of_the_paper_and_absent_where_they_do_not_exist():
    assert tuple(small().output) == OUTPUTS
    assert tuple(small(attention="single").output) == OUTPUTS[:2]
    assert tuple(small(attention="none").output) == OUTPUTS[:2]


def test_one_training_step_follows_the_slope_of_the_reference():
    model = small(front="conv", scale_by_length=True)
    weights = seeded(model)
    labels = np.array([1, 3, 0])
    model.compile(
        keras.optimizers.SGD(1.0),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        jit_compile=False,
    )
    model.train_on_batch(batch_of(UTTERANCES), {"logits": labels})

    def loss():
        losses = [
            reference.cross_entropy(
                reference.forward(utterance, weights, scale_by_length=True)["logits"], label
            )
            for utterance, label in zip(UTTERANCES, labels, strict=True)
        ]
        return np.mean(losses)

    gamma = next(i for i, array in enumerate(weights["mixture"]) if array.ndim == 1)
    for name, index, cell in (
        ("front", 0, (1, 2, 1)),
        ("blstm1", 1, (2, 9)),
        ("blstm2", 3, (3, 5)),
        ("blstm2", 5, (6,)),
        ("attention_layer1", 1, (2, 3)),
        ("mixture", gamma, (1,)),
        ("classifier", 0, (5, 1)),
    ):
        moved = keras.ops.convert_to_numpy(model.get_layer(name).weights[index])[cell]
        start = weights[name][index][cell]
        slope = slope_of(loss, weights[name][index], cell)
        np.testing.assert_allclose(start - moved, slope, atol=1e-5, rtol=1e-3)


def test_model_keeps_the_contract(tmp_path):
    def build():
        return small(dim=12, units=32, layers=1)

    check_model(build, dim=12, num_classes=CLASSES, tmp_path=tmp_path, lengths=(4, 7), steps=100)


@pytest.mark.parametrize("attention", ["mixture", "single", "none"])
def test_padding_and_saving_change_no_logit_behind_the_convolution(attention, tmp_path):
    model = small(front="conv", pooling="mean_std", scale_by_length=True, attention=attention)
    check_padding(model, UTTERANCES, np.random.default_rng(7))
    check_saving(model, batch_of(UTTERANCES), tmp_path)


def test_full_size_has_the_sizes_of_the_paper():
    model = build_model("moma", num_classes=4, dim=23)
    # Kernel, recurrent kernel and bias of four LSTMs; four attention blocks; gamma; classifier.
    lstms = 2 * 2048 * (23 + 512 + 1) + 2 * 2048 * (1024 + 512 + 1)
    attention = 4 * (2 * 1024 * 128 + 128) + 3
    assert model.get_layer("blstm2").output.shape == (None, None, 1024)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == (
        lstms + attention + 1024 * 4 + 4
    )


def test_multiply_accumulates_count_every_use_of_a_kernel():
    model = small(units=4, layers=1, blocks=2)
    lstm = 2 * 10 * (DIM + 4) * 16
    block = 11 * 8 * 6 + 10 * (6 + 6 + 8)
    expected = lstm + (block + 10 * 8) + 2 * (block + 10) + 10 * 8 + 8 * CLASSES
    assert multiply_accumulates(model, frames=10) == expected


def test_mixed_precision_keeps_logits_attention_and_weights_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small(front="conv", projection="tanh")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("blstm2").compute_dtype == "bfloat16"
    for name, tensor in model(batch_of(UTTERANCES)).items():
        assert keras.backend.standardize_dtype(tensor.dtype) == "float32", name
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}


def test_dropout_acts_in_training_alone():
    batch = batch_of(UTTERANCES)
    plain = numpy(small()(batch, training=True))
    np.testing.assert_array_equal(plain["logits"].shape, (3, CLASSES))
    for option in ("dropout", "input_dropout", "recurrent_dropout_between"):
        model = small(**{option: 0.5})
        quiet = [numpy(model(batch, training=False))["logits"] for _ in range(2)]
        np.testing.assert_array_equal(*quiet)
        assert (numpy(model(batch, training=True))["logits"] != quiet[0]).any(), option


def test_empty_utterance_is_finite():
    inputs = {"features": np.ones((1, 6, DIM), "float32"), "mask": np.zeros((1, 6), bool)}
    for options in ({}, {"attention": "none", "pooling": "mean_std"}, {"front": "conv"}):
        assert all(np.isfinite(array).all() for array in numpy(small(**options)(inputs)).values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "mixtures"}, "did you mean 'mixture'"),
        ({"projection": "relu"}, "Known: none, tanh"),
        ({"pooling": "mean_sd"}, "did you mean 'mean_std'"),
        ({"front": "conv1d"}, "did you mean 'conv'"),
        ({"blocks": 0}, "blocks=0; expected 1 or more"),
        ({"layers": 0}, "layers=0; expected 1 or more"),
        ({"atention": "none"}, "did you mean 'attention'"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)
