"""The sparse autoencoder and its joint objective against their NumPy reference."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ser_keras.errors import ConfigError
from ser_keras.models import build_model, objective_of
from ser_keras.models.cost import multiply_accumulates
from ser_keras.models.sparse_autoencoder import sparse_autoencoder_objective, sparsity_penalty
from tests.harness import batch_of, check_model, slope_of
from tests.reference import sparse_autoencoder as reference

DIM = 5
CLASSES = 3
LENGTHS = (7, 4, 6, 3)
LABELS = (1, None, 0, None)
WEIGHTS = (1.0, 1.0, 2.5, 0.5)


def small(**options):
    settings = {"encoder_units": 8, "recurrent_units": 4, **options}
    return build_model("sparse_autoencoder", num_classes=CLASSES, dim=DIM, **settings)


def seeded(model, seed=11):
    """Gives every layer values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {}
    for layer in model.layers:
        if layer.weights:
            values[layer.name] = [rng.normal(scale=0.6, size=w.shape) for w in layer.weights]
    values["normalizer"][1] = np.abs(values["normalizer"][1]) + 0.5
    for name, arrays_ in values.items():
        model.get_layer(name).set_weights(arrays_)
    return values


def utterances(lengths=LENGTHS, dim=DIM, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, dim)).astype("float32") for length in lengths]


def targets_of(labels, classes=CLASSES):
    rows = np.zeros((len(labels), classes), "float32")
    for row, label in zip(rows, labels, strict=True):
        if label is not None:
            row[label] = 1
    return rows


def numpy(tensors):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, tensors)


def terms_of(model, inputs, labels, weights=None, **options):
    weights = np.ones(len(labels), "float32") if weights is None else np.float32(weights)
    targets = targets_of(labels)
    terms = sparse_autoencoder_objective(inputs, targets, weights, model(inputs), **options)
    return {name: float(value) for name, value in numpy(terms).items()}


class Total(keras.layers.Layer):
    """The sum of the objective's terms, as a layer: any backend then trains the model with it."""

    def __init__(self, options, **kwargs):
        super().__init__(**kwargs)
        self.options = options

    def call(self, inputs, targets, weights, outputs):
        terms = sparse_autoencoder_objective(inputs, targets, weights, outputs, **self.options)
        return keras.ops.reshape(sum(terms.values()), (1, 1))

    def compute_output_spec(self, *tensors):
        return keras.KerasTensor((1, 1), "float32")


def trainer(model, optimizer, eager=True, **options):
    """Returns a function of (inputs, targets, weights) that trains one step, and its loss.

    `eager`: quicker for a few steps, except on JAX, which would trace the recurrence in each.
    """
    targets = keras.Input((CLASSES,), name="targets")
    weights = keras.Input((), name="weights")
    inputs = dict(zip(("features", "mask"), model.inputs, strict=True))
    total = Total(options)(inputs, targets, weights, model(inputs))
    joint = keras.Model({**inputs, "targets": targets, "weights": weights}, total)
    jax = keras.backend.backend() == "jax"
    modes = {"jit_compile": jax, "run_eagerly": eager and not jax}
    joint.compile(optimizer, loss=lambda true, predicted: predicted, **modes)

    def step(inputs, targets, weights):
        batch = {**inputs, "targets": targets, "weights": np.asarray(weights, "float32")}
        return float(joint.train_on_batch(batch, np.zeros((1, 1), "float32")))

    return step


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recurrent_layers": 2, "pooling": "mean_std"},
        {"stride": 2},
        {"stride": 4, "pooling": "mean_std"},
    ],
    ids=["paper", "two-layers-deviation", "stride-2", "stride-4"],
)
def test_outputs_equal_the_reference(options):
    model = small(**options)
    weights = seeded(model)
    batch = batch_of(utterances(), extra=2)
    outputs = numpy(model(batch))
    assert {array.dtype.name for array in outputs.values()} == {"float32"}
    for row, features in enumerate(utterances()):
        expected = reference.forward(
            features.astype(float),
            weights,
            stride=options.get("stride", 1),
            layers=options.get("recurrent_layers", 1),
            deviation=options.get("pooling") == "mean_std",
        )
        assert expected.keys() == outputs.keys()
        for name, values in expected.items():
            valid = outputs[name][row][: len(values)]
            np.testing.assert_allclose(valid, values, atol=2e-5, err_msg=name)
            if name in ("attention", "activations", "normalized"):
                assert not outputs[name][row][len(values) :].any()


@pytest.mark.parametrize(
    "labels",
    [LABELS, (1, 2, 0, 1), (None,) * 4],
    ids=["both", "labelled-only", "unlabelled-only"],
)
def test_objective_equals_the_reference(labels):
    model = small()
    weights = seeded(model)
    outputs = [reference.forward(utterance.astype(float), weights) for utterance in utterances()]
    inputs = batch_of(utterances(), extra=3)
    terms = terms_of(model, inputs, labels, WEIGHTS)
    assert terms == pytest.approx(reference.objective(outputs, labels, WEIGHTS), rel=1e-4)
    assert (terms["pseudo_class"] == 0) == (None not in labels)
    assert (terms["cross_entropy"] == 0) == (labels == (None,) * 4)

    mine = {"label_smoothing": 0.2, "reconstruction_weight": 3.0, "sparsity_weight": 0.1}
    mine |= {"sparsity_target": 0.2, "unlabelled_weight": 0.7}
    expected = reference.objective(
        outputs, labels, WEIGHTS, smoothing=0.2, c=3.0, beta=0.1, rho=0.2, unlabelled=0.7
    )
    assert terms_of(model, inputs, labels, WEIGHTS, **mine) == pytest.approx(expected, rel=1e-4)


def test_objective_does_not_see_padding():
    model = small()
    seeded(model)
    narrow, wide = (batch_of(utterances(), extra) for extra in (0, 30))
    wide["features"] = np.where(wide["mask"][..., None], wide["features"], np.nan)
    wide["features"] = wide["features"].astype("float32")
    expected = terms_of(model, narrow, LABELS)
    assert terms_of(model, wide, LABELS) == pytest.approx(expected, rel=1e-5)


def test_one_training_step_follows_the_slope_of_the_reference():
    model = small(stride=2)
    weights = seeded(model)
    batch = batch_of(utterances())
    trainer(model, keras.optimizers.SGD(1.0))(batch, targets_of(LABELS), WEIGHTS)

    def loss():
        outputs = [
            reference.forward(utterance.astype(float), weights, stride=2)
            for utterance in utterances()
        ]
        return sum(reference.objective(outputs, LABELS, WEIGHTS).values())

    for name, index, cell in (
        ("encoder", 0, (2, 3)),
        ("decoder", 1, (4,)),
        ("strided", 0, (1, 2, 3)),
        ("blstm1", 1, (1, 12)),
        ("attention", 0, (5, 0)),
        ("classifier", 1, (CLASSES,)),
    ):
        moved = numpy(model.get_layer(name).weights[index])[cell]
        start = weights[name][index][cell]
        slope = slope_of(loss, weights[name][index], cell)
        np.testing.assert_allclose(start - moved, slope, atol=1e-5, rtol=2e-3)


def test_training_tells_labels_from_each_other_and_from_the_pseudo_class():
    keras.utils.set_random_seed(5)
    model = small(encoder_units=16, recurrent_units=8)
    batch = batch_of(utterances((9, 7, 8, 9, 6, 9)))
    labels = (0, 1, 2, 0, None, None)
    step = trainer(model, keras.optimizers.Adam(3e-2), eager=False, unlabelled_weight=1.0)
    losses = [step(batch, targets_of(labels), np.ones(6)) for _ in range(30)]
    assert losses[-1] < 0.3 * losses[0]
    predicted = numpy(model(batch))["logits_with_pseudo"].argmax(axis=-1)
    assert predicted.tolist() == [CLASSES if label is None else label for label in labels]


def test_saturated_units_do_not_break_training():
    model = small()
    weights = seeded(model)["encoder"]
    model.get_layer("encoder").set_weights([weights[0], np.tile([200.0, -200.0], 4)])
    batch = batch_of(utterances())
    activations = numpy(model(batch))["activations"][batch["mask"]]
    assert set(activations.ravel()) == {0.0, 1.0}
    step = trainer(model, keras.optimizers.SGD(0.1))
    assert np.isfinite(step(batch, targets_of(LABELS), WEIGHTS))
    assert all(np.isfinite(numpy(weight)).all() for weight in model.weights)


def test_logits_leave_the_pseudo_class_out():
    model = small()
    values = seeded(model)["classifier"]
    batch = batch_of(utterances())
    before = numpy(model(batch))
    chances, without = (
        numpy(keras.ops.softmax(before[name])) for name in ("logits_with_pseudo", "logits")
    )
    renormalised = chances[:, :-1] / chances[:, :-1].sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(without, renormalised, atol=1e-6)
    for array in values:
        array[..., -1] += 1e3
    model.get_layer("classifier").set_weights(values)
    np.testing.assert_array_equal(numpy(model(batch))["logits"], before["logits"])


def test_without_unlabelled_utterances_the_pseudo_class_only_loses():
    model = small()
    batch = batch_of(utterances())
    step = trainer(model, keras.optimizers.SGD(0.5), reconstruction_weight=0.0)
    bias = [numpy(model.get_layer("classifier").bias)]
    for _ in range(5):
        assert np.isfinite(step(batch, targets_of((0, 1, 2, 0)), np.ones(4)))
        bias.append(numpy(model.get_layer("classifier").bias))
    assert (np.diff([values[-1] for values in bias]) < 0).all()


def test_reconstruction_is_of_the_clean_input():
    model = small(noise=1.0, input_dropout=0.5, dropout=0.5)
    batch = batch_of(utterances())
    noisy = [numpy(model(batch, training=True)) for _ in range(2)]
    still = numpy(model(batch, training=False))
    assert abs(noisy[0]["activations"] - noisy[1]["activations"]).max() > 0.05
    for outputs in (*noisy, still):
        np.testing.assert_array_equal(outputs["normalized"], batch["features"])
    np.testing.assert_array_equal(still["logits"], numpy(model(batch, training=False))["logits"])


@given(
    activity=arrays(np.float32, st.integers(1, 6), elements=st.floats(0, 1, width=32)),
    target=st.floats(0.01, 0.99),
)
def test_sparsity_is_zero_at_the_target_positive_elsewhere_and_finite(activity, target):
    value = float(sparsity_penalty(activity, target))
    distance = np.abs(activity - target).max()
    assert np.isfinite(value)
    # Pinsker's inequality, less what float32 rounds.
    assert value >= 2 * distance**2 - 2e-6 * len(activity)
    assert abs(float(sparsity_penalty(np.full_like(activity, target), target))) < 1e-6


def test_sparsity_pulls_dead_units_up_which_the_printed_equation_does_not():
    means = np.array([0.001, 0.02, 0.05, 0.2, 0.999], "float32")
    values = [float(sparsity_penalty(means[index : index + 1], 0.05)) for index in range(5)]
    assert values[0] > values[1] > values[2] < values[3] < values[4]
    expected = [reference.sparsity([float(mean)], 0.05) for mean in means]
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-6)


# The harness trains the logits alone, which the decoder has no part in.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables .'decoder:UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "mean_std", "stride": 3, "noise": 0.1},
    ],
    ids=["paper", "ours"],
)
def test_model_keeps_the_contract(options, tmp_path):
    sizes = {"encoder_units": 128, "recurrent_units": 64, **options}

    def build():
        return build_model("sparse_autoencoder", num_classes=4, dim=60, **sizes)

    check_model(build, dim=60, num_classes=4, tmp_path=tmp_path, lengths=(1, 7), steps=120)


def test_paper_size_has_the_parameters_counted_by_hand():
    model = build_model("sparse_autoencoder", num_classes=4, dim=120)
    encoder, decoder = 120 * 256 + 256, 256 * 120 + 120
    blstm = 2 * 4 * 128 * (256 + 128 + 1)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == (
        encoder + decoder + blstm + 256 + 256 * 5 + 5
    )
    per_frame = 2 * 120 * 256 + 2 * 4 * 128 * (256 + 128) + 2 * 256
    assert multiply_accumulates(model, frames=300) == 300 * per_frame + 256 * 5


def test_mixed_precision_keeps_outputs_and_weights_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    seeded(model)
    assert model.get_layer("encoder").compute_dtype == "bfloat16"
    single = small()
    seeded(single)
    batch = batch_of(utterances())
    outputs, expected = numpy(model(batch)), numpy(single(batch))
    for name, values in outputs.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], atol=0.05, err_msg=name)
    np.testing.assert_array_equal(outputs["normalized"], expected["normalized"])
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_empty_utterance_is_finite():
    inputs = {"features": np.ones((1, 5, DIM), "float32"), "mask": np.zeros((1, 5), bool)}
    model = small(stride=2, pooling="mean_std")
    assert all(np.isfinite(array).all() for array in numpy(model(inputs)).values())
    assert np.isfinite(list(terms_of(model, inputs, (None,)).values())).all()


def test_training_finds_the_objective():
    assert objective_of("sparse_autoencoder") is sparse_autoencoder_objective


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "mean-std"}, "did you mean 'mean_std'"),
        ({"encoder_units": DIM}, "Pass encoder_units=10"),
        ({"stride": 0}, "stride=0; expected 1 or more"),
        ({"recurrent_layers": 0}, "recurrent_layers=0; expected 1 or more"),
        ({"encoder_unit": 300}, "did you mean 'encoder_units'"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)


@pytest.mark.parametrize(
    "options", [{"sparsity_target": 0.0}, {"sparsity_target": 1.0}, {"unlabelled_weight": -0.1}]
)
def test_weights_without_meaning_are_refused(options):
    with pytest.raises(ConfigError, match="no negative weight"):
        sparse_autoencoder_objective({}, None, None, {}, **options)
