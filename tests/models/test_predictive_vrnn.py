"""The predictive VRNN, its objective and its stream against their NumPy reference."""

import keras
import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.models import build_model, check_objective, objective_of
from ser_keras.models.cost import multiply_accumulates
from ser_keras.models.predictive_vrnn import predictive_vrnn_objective
from ser_keras.models.predictive_vrnn_stream import (
    step_frames,
    streaming_predictive_vrnn,
    zero_state,
)
from tests.harness import batch_of, check_model, slope_of
from tests.reference import predictive_vrnn as reference

DIM, CLASSES = 6, 3
LENGTHS = (5, 3, 1)
SIZES = {
    "recognition_units": 8,
    "generation_units": 5,
    "classification_units": 7,
    "latent_dim": 4,
}
NO_DROPOUT = {
    "recognition_dropout": 0.0,
    "generation_dropout": 0.0,
    "classification_dropout": 0.0,
}
TARGETS = np.eye(CLASSES, dtype="float32")[[1, 0, 1]]
WEIGHTS = np.array([1.0, 0.5, 2.0], "float32")


def small(**options):
    settings = {**SIZES, **NO_DROPOUT, **options}
    return build_model("predictive_vrnn", num_classes=CLASSES, dim=DIM, **settings)


def parts_of(model):
    """Returns the layers that hold weights, by the names of the reference."""
    cell = model.get_layer("predictive").cell
    names = ("recognition", "latent", "generation", "next_input", "classification")
    return {
        "normalizer": model.get_layer("normalizer"),
        **{name: getattr(cell, name) for name in names},
        "classifier": model.get_layer("classifier"),
    }


def seeded(model, seed=11):
    """Gives every part values of a NumPy seed; returns them for the oracle."""
    rng = np.random.default_rng(seed)
    values = {}
    for name, part in parts_of(model).items():
        values[name] = [rng.normal(scale=0.6, size=weight.shape) for weight in part.weights]
        if name == "normalizer":
            values[name][1] = np.abs(values[name][1]) + 0.5
        part.set_weights(values[name])
    return values


def utterances(lengths=LENGTHS, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, DIM)).astype("float32") for length in lengths]


def numpy(tensors):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, tensors)


def mean_terms(features, weights, forward_options=None, **options):
    """Returns the terms of the reference, averaged over the batch."""
    terms = [
        reference.terms(
            reference.forward(vectors, weights, **(forward_options or {})),
            target,
            weight,
            **options,
        )
        for vectors, target, weight in zip(features, TARGETS, WEIGHTS, strict=True)
    ]
    return {name: np.mean([term[name] for term in terms]) for name in terms[0]}


@pytest.mark.parametrize("attention", [True, False])
def test_every_output_equals_the_reference_and_is_zero_in_the_padding(attention):
    model = small(attention=attention)
    weights = seeded(model)
    features = utterances()
    outputs = numpy(model(batch_of(features, extra=2)))
    for row, vectors in enumerate(features):
        expected = reference.forward(vectors, weights, attention=attention)
        np.testing.assert_allclose(outputs["logits"][row], expected.pop("logits"), atol=1e-5)
        assert outputs.keys() == {"logits", *expected}
        for name, values in expected.items():
            actual = outputs[name][row]
            np.testing.assert_allclose(actual[: len(vectors)], values, atol=1e-5, err_msg=name)
            assert not actual[len(vectors) :].any(), name
    assert {str(array.dtype) for array in outputs.values()} == {"float32"}


def test_attention_is_one_at_first_then_some_and_never_none():
    model = small()
    seeded(model)
    attention = numpy(model(batch_of(utterances((7, 7)))))["attention"]
    assert np.unique(attention).tolist() == [0.0, 1.0]
    assert (attention[:, 0] == 1.0).all()
    shares = attention[:, 1:].mean(axis=2)
    assert shares.min() > 0.0
    assert shares.max() < 1.0
    assert (numpy(small(attention=False)(batch_of(utterances((7,)))))["attention"] == 1.0).all()


@pytest.mark.parametrize(
    ("options", "scales", "smoothing"),
    [
        ({}, (1.0, 50.0, 1.0), 0.0),
        ({"label_time": "end"}, (1.0, 50.0, 1.0), 0.0),
        ({"label_smoothing": 0.2}, (1.0, 50.0, 1.0), 0.2),
        (
            {"generation_weight": 0.3, "classification_weight": 2.0, "kl_weight": 0.1},
            (0.3, 2.0, 0.1),
            0.0,
        ),
    ],
    ids=["paper", "label at the end", "smoothing", "weights"],
)
def test_objective_equals_the_reference(options, scales, smoothing):
    model = small()
    weights = seeded(model)
    features = utterances()
    batch = batch_of(features, extra=1)
    assert objective_of("predictive_vrnn") is predictive_vrnn_objective
    terms = predictive_vrnn_objective(batch, TARGETS, WEIGHTS, model(batch), **options)
    label_time = options.get("label_time", "every")
    expected = mean_terms(
        features, weights, smoothing=smoothing, scales=scales, label_time=label_time
    )
    assert terms.keys() == expected.keys() == {"generation", "classification", "kl"}
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-5), name


def test_an_unknown_label_time_suggests_the_nearest():
    model = small()
    batch = batch_of(utterances((1, 1)))
    with pytest.raises(ConfigError, match="unknown label_time 'ends'; did you mean 'end'"):
        predictive_vrnn_objective(batch, TARGETS[:2], WEIGHTS[:2], model(batch), label_time="ends")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kl_wait": 1.0}, "did you mean 'kl_weight'"),
        ({"kl_weight": "much"}, "kl_weight: found 'much', expected a number"),
        ({"label_time": 1.0}, "label_time: found 1.0, expected a word"),
    ],
)
def test_wrong_options_of_an_objective_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_objective("predictive_vrnn", options)


def test_one_window_alone_predicts_nothing():
    model = small()
    for extra in (0, 2):
        batch = batch_of(utterances((1, 1)), extra)
        terms = predictive_vrnn_objective(batch, TARGETS[:2], WEIGHTS[:2], model(batch))
        assert float(terms["generation"]) == 0.0
        assert float(terms["classification"]) > 0.0


def test_utterance_weights_change_the_classification_alone():
    model = small()
    batch = batch_of(utterances())
    plain, doubled = (
        predictive_vrnn_objective(batch, TARGETS, weights, model(batch))
        for weights in (WEIGHTS, 2 * WEIGHTS)
    )
    assert float(doubled["classification"]) == pytest.approx(2 * float(plain["classification"]))
    for name in ("generation", "kl"):
        assert float(doubled[name]) == float(plain[name])


class Trained(keras.Model):
    """Minimises the whole objective."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum(predictive_vrnn_objective(x, y, WEIGHTS, y_pred).values())


def test_one_training_step_follows_the_slope_of_the_reference(monkeypatch):
    # Drawn once for all steps: the oracle is given the same noise.
    noise = np.random.default_rng(9).normal(size=(3, 5, 4)).astype("float32")
    monkeypatch.setattr(keras.random, "normal", lambda shape, seed: keras.ops.array(noise))
    model = small()
    weights = seeded(model)
    features = utterances()
    training = Trained(model.input, model.output)
    jit = keras.backend.backend() == "jax"  # which takes seconds a step without
    training.compile(keras.optimizers.SGD(1e-3), jit_compile=jit)
    training.train_on_batch(batch_of(features), TARGETS)

    def loss():
        rows = zip(features, TARGETS, WEIGHTS, noise, strict=True)
        return np.mean(
            [
                sum(
                    reference.terms(
                        reference.forward(vectors, weights, noise=drawn), target, weight
                    ).values()
                )
                for vectors, target, weight, drawn in rows
            ]
        )

    for name, index, cell in (
        ("recognition", 0, (2, 3)),
        ("recognition", 1, (1, 9)),
        ("latent", 0, (0, 1)),
        ("latent", 0, (2, 6)),
        ("generation", 1, (2, 7)),
        ("next_input", 0, (3, 2)),
        ("next_input", 1, (8,)),
        ("classification", 0, (1, 20)),
        ("classifier", 0, (2, 1)),
    ):
        moved = keras.ops.convert_to_numpy(parts_of(model)[name].weights[index])[cell]
        start = weights[name][index][cell]
        slope = slope_of(loss, weights[name][index], cell, step=1e-6)
        assert (start - moved) / 1e-3 == pytest.approx(slope, rel=5e-3, abs=2e-3), (name, cell)


FRONT = {"window_frames": 11, "window_hop": 4, "front_layers": 2, "front_units": 8}


@pytest.mark.parametrize(
    "windows",
    [pytest.param({"window_frames": 3, "window_hop": 1}, marks=pytest.mark.slow), {}, FRONT],
)
def test_model_keeps_the_contract(windows, tmp_path):
    sizes = {
        "recognition_units": 64,
        "generation_units": 32,
        "classification_units": 64,
        "latent_dim": 16,
    }
    check_model(
        lambda: small(**sizes, **windows),
        dim=DIM,
        num_classes=CLASSES,
        tmp_path=tmp_path,
        lengths=(3, 5),
        steps=400,
    )


def test_sizes_of_the_paper_make_other_parameters_than_it_states():
    def count(num_classes, **options):
        model = build_model("predictive_vrnn", num_classes=num_classes, dim=40, **options)
        return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)

    def lstm(inputs, units):
        return 4 * units * (inputs + units + 1)

    ravdess = lstm(40, 512) + lstm(20, 256) + lstm(20, 512)
    ravdess += 513 * 2 * 20 + 257 * 2 * 40 + 513 * 8
    assert count(8) == ravdess == 2552960
    iemocap = {f"{name}_units": 64 for name in ("recognition", "generation", "classification")}
    assert count(4, **iemocap, latent_dim=10) == 72040


def test_multiply_accumulates_grow_with_the_windows():
    model = small()
    kernels = [weight for weight in model.trainable_weights if len(weight.shape) == 2]
    window = sum(int(np.prod(kernel.shape)) for kernel in kernels)
    assert multiply_accumulates(model, frames=4) == 4 * window


def test_mixed_precision_changes_no_attention():
    batch = batch_of(utterances((9, 9)))
    plain = small()
    weights = seeded(plain)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = small()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for name, part in parts_of(mixed).items():
        part.set_weights(weights[name])
    expected = numpy(plain(batch))
    for name, tensor in mixed(batch).items():
        assert keras.backend.standardize_dtype(tensor.dtype) == "float32", name
        tolerance = {"logits": 0.05, "step_logits": 0.05}.get(name, 1e-6)
        np.testing.assert_allclose(numpy(tensor), expected[name], atol=tolerance, err_msg=name)
    assert {weight.dtype for weight in mixed.weights} == {"float32"}


@pytest.mark.parametrize("windows", [{}, {"window_frames": 3, "window_hop": 1}, FRONT])
def test_empty_utterance_is_finite(windows):
    model = small(**windows)
    batch = {"features": np.ones((1, 5, DIM), "float32"), "mask": np.zeros((1, 5), bool)}
    outputs = model(batch)
    assert all(np.isfinite(array).all() for array in numpy(outputs).values())
    terms = predictive_vrnn_objective(batch, TARGETS[:1], WEIGHTS[:1], outputs)
    assert [float(term) for term in terms.values()] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "latent_dim=0; expected 1 or more"),
        ({"generation_units": 2.5}, "generation_units=2.5; expected 1 or more, whole"),
        ({"recognition_dropout": 1.0}, "recognition_dropout=1.0; expected a share"),
        ({"classification_dropout": -0.1}, "classification_dropout=-0.1; expected a share"),
        ({"latent_dims": 3}, "did you mean 'latent_dim'"),
        ({"window_frames": 4}, "window_hop=0; expected a hop of 1 to 4 frames"),
        ({"window_frames": 4, "window_hop": 5}, "window_hop=5; expected a hop of 1 to 4"),
        ({**FRONT, "window_frames": 12}, "windows of 9 frames, .* or 2, 4, ... more"),
        ({**FRONT, "window_hop": 3}, "a hop that 2 divides"),
        ({**FRONT, "window_frames": 9, "window_hop": 8}, "expected a hop of at most 2 frames"),
        ({**FRONT, "front_layers": 4}, "windows of 17 frames"),
        ({"front_layers": 1}, "window_frames=0"),
        ({**FRONT, "front_units": 0}, "front_units=0; expected 1 or more"),
    ],
)
def test_options_without_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)


# === Stream ===


def stream(step, features):
    """Runs one utterance window by window; returns the outputs, each (frames, ...).

    Windows with fewer frames than the model's are filled up with what must not be looked at.
    """
    state = zero_state(step)
    steps = []
    for vector in features:
        inputs = {"features": keras.ops.array(vector[None])}
        if "frames" in step.input:
            size = step.input["features"].shape[1]
            filled = np.pad(vector, [(0, size - len(vector)), (0, 0)], constant_values=9.0)
            frames = np.array([len(vector)], "int32")
            inputs = {
                "features": keras.ops.array(filled[None]),
                "frames": keras.ops.array(frames),
            }
        outputs = step({**inputs, **state})
        state = {name: outputs[name] for name in state}
        steps.append(numpy({name: outputs[name] for name in outputs if name not in state}))
    return {name: np.concatenate([outputs[name] for outputs in steps]) for name in steps[0]}


@pytest.mark.parametrize("options", [{}, {"attention": False}])
def test_window_by_window_equals_the_whole_utterance(options):
    model = small(**options)
    seeded(model)
    step = streaming_predictive_vrnn(model)
    (features,) = utterances((12,))
    whole = numpy(model(batch_of([features])))
    streamed = stream(step, features)
    np.testing.assert_allclose(streamed["logits"], whole["step_logits"][0], atol=1e-5)
    for name in ("attention", "prediction_mean", "prediction_log_variance", "normalized"):
        np.testing.assert_allclose(streamed[name], whole[name][0], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("options", [{"window_frames": 11, "window_hop": 4}, FRONT])
def test_windows_of_frames_stream_as_well(options):
    model = small(**options)
    seeded(model)
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, (keras.layers.BatchNormalization, MaskedBatchNormalization)):
            *trained, mean, variance = layer.get_weights()
            standard = [rng.normal(size=mean.shape), rng.uniform(0.5, 2.0, size=variance.shape)]
            layer.set_weights([*trained, *standard])
    step = streaming_predictive_vrnn(model)
    for frames in (5, 11, 23, 25, 26):
        (features,) = utterances((frames,))
        whole = numpy(model(batch_of([features])))
        count = int(whole["steps"].sum())
        assert int(numpy(step_frames(model).count(np.array([frames], "int32")))[0]) == count
        streamed = stream(step, [features[4 * number :][:11] for number in range(count)])
        np.testing.assert_allclose(streamed["logits"], whole["step_logits"][0, :count], atol=1e-5)
        np.testing.assert_allclose(streamed["attention"], whole["attention"][0, :count])


@pytest.mark.parametrize(
    ("window", "hop", "layers"),
    [(11, 4, 0), (11, 4, 2), (13, 6, 2), (7, 7, 0), (15, 2, 3), (6, 1, 0)],
)
def test_steps_are_as_many_as_the_windows_of_every_utterance(window, hop, layers):
    model = small(window_frames=window, window_hop=hop, front_layers=layers, front_units=4)
    lengths = range(1, 45)
    batch = batch_of([np.zeros((length, DIM), "float32") for length in lengths])
    expected = numpy(model(batch)["steps"]).sum(axis=1)
    frames = step_frames(model)
    assert numpy(frames.count(np.array(lengths, "int32"))).tolist() == expected.tolist()
    # The second step is there as soon as it has so many frames.
    second = 1 + np.flatnonzero(expected == 2)[0]
    assert second == frames.least + frames.hop


def test_front_end_describes_windows_by_its_columns():
    model = small(**FRONT)
    (features,) = utterances((15,))
    encoder = keras.Model(model.input, model.get_layer("windows").output)
    (vectors,), (steps,) = numpy(encoder(batch_of([features])))
    weights = [numpy(model.get_layer(f"front{number}").kernel) for number in (1, 2)]
    x = numpy(model.get_layer("normalizer")(features[None], mask=np.ones((1, 15), bool)))[0]
    for kernel, stride in zip(weights, (2, 1), strict=True):
        starts = range(0, len(x) - len(kernel) + 1, stride)
        x = np.array([np.einsum("ki,kio->o", x[at : at + len(kernel)], kernel) for at in starts])
        x = np.maximum(x / np.sqrt(1.001), 0)  # statistics of a new layer: mean 0, variance 1
    expected = [np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in (x[:2], x[2:4])]
    assert steps.tolist() == [True, True]
    np.testing.assert_allclose(vectors[:2], expected, atol=2e-3)


def test_a_stream_survives_its_file_and_follows_its_model(tmp_path):
    model = small()
    step = streaming_predictive_vrnn(model)
    seeded(model)  # afterwards: the weights are shared
    (features,) = utterances((4,))
    expected = numpy(model(batch_of([features])))["logits"][0]
    np.testing.assert_allclose(stream(step, features)["logits"][-1], expected, atol=1e-5)
    step.save(tmp_path / "step.keras")
    loaded = keras.saving.load_model(tmp_path / "step.keras")
    np.testing.assert_allclose(stream(loaded, features)["logits"][-1], expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = streaming_predictive_vrnn(keras.saving.load_model(tmp_path / "model.keras"))
    np.testing.assert_allclose(stream(again, features)["logits"][-1], expected, atol=1e-5)
