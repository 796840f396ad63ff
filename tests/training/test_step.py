import keras
import numpy as np
import pytest

from ser_keras.models import build_model, objective_of
from ser_keras.training.step import TrainingModel

BATCH = (
    {
        "features": np.random.default_rng(0).normal(size=(4, 80, 200)).astype("float32"),
        "mask": np.ones((4, 80), bool),
    },
    np.eye(3, dtype="float32")[[0, 1, 2, 0]],
    np.array([1.0, 2.0, 1.0, 0.5], "float32"),
)


def training_model(optimizer, **options):
    keras.utils.set_random_seed(3)
    inner = build_model(
        "alexnet_fcn", num_classes=3, dim=200, width=0.0625, normalization="none", dropout=0.0
    )
    training = TrainingModel(inner, objective_of("alexnet_fcn"), **options)
    training.compile(optimizer, jit_compile=False)
    return training


def test_the_step_is_that_of_keras_for_the_same_loss():
    training = training_model(keras.optimizers.SGD(0.1), label_smoothing=0.1)
    plain = keras.models.clone_model(training.inner)
    plain.set_weights(training.inner.get_weights())
    plain.compile(
        keras.optimizers.SGD(0.1),
        loss={"logits": keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1)},
        jit_compile=False,
    )
    inputs, targets, weights = BATCH
    logs = training.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)
    loss = plain.train_on_batch(inputs, {"logits": targets}, sample_weight={"logits": weights})
    assert float(logs["loss"]) == pytest.approx(float(np.ravel(loss)[0]), rel=1e-5)
    for weight, expected in zip(training.inner.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_terms_and_the_norm_of_the_gradient_are_logged():
    training = training_model(keras.optimizers.SGD(0.0))
    before = training.inner.get_weights()
    inputs, targets, weights = BATCH
    logs = training.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)
    assert float(logs["cross_entropy"]) == float(logs["loss"])
    if keras.backend.backend() == "tensorflow":
        stepped = training_model(keras.optimizers.SGD(1.0))
        stepped.train_on_batch(inputs, targets, sample_weight=weights)
        moved = zip(stepped.inner.get_weights(), before, strict=True)
        norm = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in moved))
        assert float(logs["gradient_norm"]) == pytest.approx(norm, rel=1e-3)


def test_it_trains_under_fit_with_callbacks():
    training = training_model(keras.optimizers.Adam(1e-3))
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    history = training.fit(
        *BATCH[:2], sample_weight=BATCH[2], epochs=5, callbacks=[stop], verbose=0
    )
    assert len(history.history["loss"]) == 2
    assert {"loss", "cross_entropy", "gradient_norm"} <= set(history.history)
