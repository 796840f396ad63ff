"""The attention-pooling CNN against its NumPy reference, which is the same on every backend."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model
from ser_keras.models.cost import multiply_accumulates
from tests.harness import batch_of, check_model, slope_of
from tests.reference import attention_cnn as reference

DIM = 21  # odd: the poolings have to round
HEADS = ["attention", "gap", "bilinear"]
LOWEST = {"mu_law": -1.0, "mu_law_unit": 0.0, "standard": None}


def small(**options):
    settings = {"filters": [4, 4, 6, 6, 5], "minimum_frames": 20, **options}
    return build_model("attention_cnn", num_classes=4, dim=DIM, **settings)


def seeded(model, seed=11):
    """Gives every weight values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {}
    for layer in model.layers:
        if not layer.weights or layer.name == "normalizer":
            continue
        shapes = [weight.shape for weight in layer.weights]
        if layer.name.endswith("batch_norm"):
            values[layer.name] = [rng.uniform(0.5, 1.5, size=shape) for shape in shapes]
        else:
            values[layer.name] = [
                rng.normal(size=shape) * np.sqrt(2 / max(np.prod(shape[:-1]), 4))
                for shape in shapes
            ]
        layer.set_weights(values[layer.name])
    return values


def magnitudes(lengths, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.gamma(0.5, size=(length, DIM)).astype("float32") for length in lengths]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scaling", list(LOWEST))
def test_outputs_equal_the_reference(head, scaling):
    model = small(head=head, input_scaling=scaling)
    weights = seeded(model)
    utterances = magnitudes((25, 11, 1))
    outputs = {
        key: keras.ops.convert_to_numpy(tensor)
        for key, tensor in model(batch_of(utterances)).items()
    }
    expected = reference.forward(utterances, weights, head=head, lowest=LOWEST[scaling])
    assert set(outputs) == {"logits", "attention"} | (
        {"top_down"} if head == "attention" else set()
    )
    for row, (logits, attention, top_down) in enumerate(zip(*expected, strict=True)):
        columns = attention.shape[1]
        np.testing.assert_allclose(outputs["logits"][row], logits, atol=1e-4)
        np.testing.assert_allclose(outputs["attention"][row, :, :columns], attention, atol=1e-5)
        assert (outputs["attention"][row, :, columns:] == 0).all()
        if top_down is not None:
            actual = outputs["top_down"][row]
            np.testing.assert_allclose(actual[:, :columns], top_down, atol=1e-4)
            assert (actual[:, columns:] == 0).all()


@pytest.mark.parametrize("head", HEADS)
def test_one_training_step_follows_the_slope_of_the_reference(head):
    model = small(head=head, filters=[4, 4, 4], pool_after=[2])
    weights = seeded(model)
    utterances, labels = magnitudes((14, 9)), np.array([1, 3])
    model.compile(
        keras.optimizers.SGD(1.0),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        jit_compile=False,
    )
    model.train_on_batch(batch_of(utterances), {"logits": labels})

    def loss():
        logits, _, _ = reference.forward(
            utterances, weights, head=head, pool_after=(2,), training=True
        )
        return np.mean(
            [reference.cross_entropy(*pair) for pair in zip(logits, labels, strict=True)]
        )

    last = "attention" if head == "attention" else "classifier"
    for name, index, cell in (
        ("conv1a", 0, (2, 1, 0, 1)),
        ("conv2", 0, (1, 2, 3, 0)),
        ("conv2_batch_norm", 0, (1,)),
        (last, 0, (3, 1)),
    ):
        moved = keras.ops.convert_to_numpy(model.get_layer(name).weights[index])[cell]
        start = weights[name][index][cell]
        slope = slope_of(loss, weights[name][index], cell)
        np.testing.assert_allclose(start - moved, slope, atol=2e-5, rtol=2e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"filters": [8, 8, 16, 16, 16]},
        {"head": "gap", "pool_after": [1, 2], "filters": [8, 16]},
        {"head": "bilinear", "pool_after": [1, 2], "filters": [8, 16], "input_scaling": "standard"},
    ],
    ids=HEADS,
)
def test_model_keeps_the_contract(options, tmp_path):
    check_model(
        lambda: small(minimum_frames=8, **options),
        dim=DIM,
        num_classes=4,
        tmp_path=tmp_path,
        lengths=(3, 8),
        steps=120,
    )


@pytest.mark.parametrize("head", HEADS)
def test_widening_to_two_seconds_changes_the_map_and_no_logit(head):
    narrow, wide = small(head=head, minimum_frames=1), small(head=head, minimum_frames=64)
    wide.set_weights(narrow.get_weights())
    batch = batch_of(magnitudes((13, 6)))
    before, after = narrow(batch), wide(batch)
    np.testing.assert_allclose(before["logits"], after["logits"], atol=1e-5)
    assert before["attention"].shape[2] == 4
    assert after["attention"].shape[2] == 16


def test_dropouts_act_in_training_alone():
    plain = small()
    model = small(dropout=0.5, spatial_dropout=0.5)
    model.set_weights(plain.get_weights())
    batch = batch_of(magnitudes((20, 20)))
    expected = keras.ops.convert_to_numpy(plain(batch)["logits"])
    np.testing.assert_allclose(model(batch)["logits"], expected, atol=1e-6)
    assert (
        np.abs(keras.ops.convert_to_numpy(model(batch, training=True)["logits"]) - expected)
    ).any()
    dropouts = [layer.name for layer in model.layers if "dropout" in layer.name]
    assert dropouts == ["spatial_dropout3", "spatial_dropout4", "dropout"]


def test_full_size_has_the_published_layers():
    counts = {}
    for head in HEADS:
        model = build_model("attention_cnn", num_classes=4, dim=400, head=head)
        counts[head] = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    shapes = [
        tuple(model.get_layer(name).kernel.shape)
        for name in ("conv1a", "conv1b", "conv2", "conv3", "conv4", "conv5")
    ]
    assert shapes == [
        (10, 2, 1, 8),
        (2, 8, 1, 8),
        (3, 3, 16, 32),
        (3, 3, 32, 48),
        (3, 3, 48, 64),
        (3, 3, 64, 80),
    ]
    # Convolutions and their normalisation, counted by hand; 80 channels into each head.
    encoder = 168 + 136 + 4640 + 13872 + 27712 + 46160 + 2 * (16 + 32 + 48 + 64 + 80)
    assert counts == {
        "attention": encoder + 80 * 4 + 4 + 80,
        "gap": encoder + 80 * 4 + 4,
        "bilinear": encoder + 6400 * 4 + 4,
    }


@pytest.mark.parametrize("head", HEADS)
def test_multiply_accumulates_count_every_use_of_a_kernel(head):
    model = build_model("attention_cnn", num_classes=4, dim=400, head=head)
    large, middle, cells = 400 * 200, 200 * 100, 100 * 50
    expected = large * (20 * 8 + 16 * 8 + 9 * 16 * 32) + middle * 9 * 32 * 48
    expected += cells * 9 * (48 * 64 + 64 * 80)
    expected += {
        "attention": cells * (80 * 4 + 80 + 4),
        "gap": 80 * 4,
        "bilinear": cells * 6400 + 6400 * 4,
    }[head]
    assert multiply_accumulates(model, frames=197) == expected


def test_width_scales_every_convolution_and_keeps_it_even():
    model = small(filters=[16, 32, 48, 64, 80], width=0.1)
    filters = [model.get_layer(f"conv{number}").output.shape[-1] for number in range(1, 6)]
    assert filters == [2, 4, 4, 6, 8]


def test_mixed_precision_keeps_outputs_and_weights_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        models = [small(head=head) for head in HEADS]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for model in models:
        assert model.get_layer("conv2").compute_dtype == "bfloat16"
        for tensor in model(batch_of(magnitudes((20,)))).values():
            assert keras.backend.standardize_dtype(tensor.dtype) == "float32"
        assert {str(weight.dtype) for weight in model.weights} == {"float32"}


@pytest.mark.parametrize("head", HEADS)
def test_empty_utterance_is_finite(head):
    batch = {"features": np.ones((1, 5, DIM), "float32"), "mask": np.zeros((1, 5), bool)}
    assert np.isfinite(small(head=head)(batch)["logits"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "atention"}, "did you mean 'attention'"),
        ({"input_scaling": "mulaw"}, "did you mean 'mu_law'"),
        ({"filters": [5, 4]}, "the first of them even"),
        ({"filters": []}, "at least one number"),
        ({"filters": 16}, "expected whole numbers"),
        ({"filters": [4, 0]}, "expected whole numbers"),
        ({"pool_after": [6]}, "there are 5 convolutions"),
        ({"pool_after": [True]}, "expected whole numbers"),
        ({"minimum_frames": 0}, "minimum_frames=0"),
        ({"pool_afer": [2]}, "did you mean 'pool_after'"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)
