"""The objective of models that only classify, with scikit-learn as the second opinion."""

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from ser_keras.models import MODELS, build_model, model_entry, objective_of
from ser_keras.models.objectives import cross_entropy, cross_entropy_objective

RNG = np.random.default_rng(6)
CLASSES = 4
LOGITS = RNG.normal(scale=3, size=(9, CLASSES)).astype("float32")
LABELS = np.array([0, 1, 1, 2, 0, 2, 1, 0, 2])  # the last class has no example
TARGETS = np.eye(CLASSES, dtype="float32")[LABELS]
WEIGHTS = RNG.uniform(0.2, 3, size=9).astype("float32")


def sum_of_losses(labels, weights=None):
    powers = np.exp(LOGITS.astype(float))
    chances = powers / powers.sum(axis=1, keepdims=True)
    options = {"labels": range(CLASSES), "normalize": False, "sample_weight": weights}
    return log_loss(labels, chances, **options)


def objective(targets=TARGETS, weights=WEIGHTS, **options):
    terms = cross_entropy_objective({}, targets, weights, {"logits": LOGITS}, **options)
    assert terms.keys() == {"cross_entropy"}
    return float(terms["cross_entropy"])


def test_cross_entropy_equals_scikit_learn():
    losses = keras.ops.convert_to_numpy(cross_entropy(TARGETS, LOGITS))
    assert losses.shape == (9,)
    assert losses.sum() == pytest.approx(sum_of_losses(LABELS), rel=1e-5)
    ones = np.ones(9, "float32")
    assert objective(weights=ones) == pytest.approx(sum_of_losses(LABELS) / 9, rel=1e-5)


def test_weights_multiply_each_utterance_and_do_not_change_the_count():
    assert objective() == pytest.approx(sum_of_losses(LABELS, WEIGHTS) / 9, rel=1e-5)
    assert objective(weights=2 * WEIGHTS) == pytest.approx(2 * objective(), rel=1e-6)
    first = (np.arange(9) == 0).astype("float32")
    assert objective(weights=first) == pytest.approx(sum_of_losses(LABELS, first) / 9, rel=1e-5)


def test_label_smoothing_shares_the_label_with_every_class():
    hard = sum_of_losses(LABELS, WEIGHTS)
    spread = sum(sum_of_losses(np.full(9, other), WEIGHTS) for other in range(CLASSES)) / CLASSES
    expected = (0.9 * hard + 0.1 * spread) / 9
    assert objective(label_smoothing=0.1) == pytest.approx(expected, rel=1e-5)


def test_mixed_targets_weigh_the_losses_of_their_classes():
    others = np.roll(LABELS, 1)
    mixed = 0.7 * TARGETS + 0.3 * np.eye(CLASSES, dtype="float32")[others]
    expected = 0.7 * sum_of_losses(LABELS, WEIGHTS) + 0.3 * sum_of_losses(others, WEIGHTS)
    assert objective(targets=mixed) == pytest.approx(expected / 9, rel=1e-5)


def test_half_precision_is_widened_and_large_logits_stay_finite():
    huge = keras.ops.cast(np.array([[3e4, -3e4, 0, 0]]), "bfloat16")
    loss = cross_entropy(np.array([[0, 1, 0, 0]]), huge)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), [6e4], rtol=1e-2)


def test_models_that_only_classify_get_cross_entropy():
    assert objective_of("alexnet_fcn") is cross_entropy_objective


SMALL = {
    "alexnet_fcn": {"width": 0.0625},
    "predictive_vrnn": {},
    "sparse_autoencoder": {"encoder_units": 96, "recurrent_units": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_a_model_takes_speech_without_labels_if_its_classifier_learns_from_it(name):
    # One of each objective; all models without an objective of their own have the first one's.
    assert {objective_of(model) for model in MODELS} == {objective_of(model) for model in SMALL}
    model = build_model(name, num_classes=CLASSES, dim=80, **SMALL[name])
    inputs = {
        "features": RNG.normal(size=(2, 80, 80)).astype("float32"),
        "mask": np.ones((2, 80), bool),
    }
    outputs = model(inputs)
    without = np.zeros((2, CLASSES), "float32")
    classes = {key: value for key, value in outputs.items() if key.startswith("logits")}

    def loss(shift):
        moved = {key: value + shift * np.arange(value.shape[-1]) for key, value in classes.items()}
        terms = objective_of(name)(inputs, without, np.ones(2, "float32"), outputs | moved)
        return float(sum(terms.values()))

    assert (loss(0.0) != pytest.approx(loss(1.0))) == model_entry(name).takes_unlabelled
