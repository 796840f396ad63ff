"""What the sparse encoder computes, and when it adds noise."""

import keras
import numpy as np
import pytest

from ser_keras.layers.sparse_dense import SparseDense
from tests.reference import sparse_autoencoder as reference

RNG = np.random.default_rng(8)
FRAMES = RNG.normal(size=(2, 6, 5)).astype("float32")
MASK = np.arange(6)[None] < np.array([[6], [2]])


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_activations_equal_the_equation_and_padding_is_zero_whatever_it_held():
    layer = SparseDense(units=9, noise=0.7)
    layer.build(FRAMES.shape)
    matrix, bias = RNG.normal(size=(5, 9)), RNG.normal(size=9)
    layer.set_weights([matrix, bias])
    frames = FRAMES.copy()
    frames[1, 2:] = np.nan
    activations = numpy(layer(frames, mask=MASK))
    for row, length in enumerate((6, 2)):
        expected = reference.encode(FRAMES[row, :length].astype(float), matrix, bias)
        np.testing.assert_allclose(activations[row, :length], expected, atol=1e-6)
    assert (activations[1, 2:] == 0).all()


def test_noise_has_the_stated_deviation_in_training_alone():
    layer = SparseDense(units=50, noise=0.3)
    layer.build((None, None, 50))
    layer.set_weights([np.eye(50), np.zeros(50)])
    frames = RNG.normal(size=(2, 100, 50)).astype("float32")
    mask = np.arange(100)[None] < np.array([[100], [80]])

    def seen(training):
        activations = numpy(layer(frames, mask=mask, training=training))[mask].astype(float)
        return np.log(activations / (1 - activations))

    np.testing.assert_allclose(seen(training=False), frames[mask], atol=1e-3)
    added = seen(training=True) - frames[mask]
    assert abs(added.mean()) < 0.02
    assert abs(added.std() - 0.3) < 0.02
    assert abs(seen(training=True) - frames[mask] - added).max() > 0.1
    assert (numpy(layer(frames, mask=mask, training=True))[~mask] == 0).all()


def test_noise_follows_the_global_seed():
    outputs = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        layer = SparseDense(units=3, noise=1.0)
        outputs.append(numpy(layer(FRAMES, mask=MASK, training=True)))
    np.testing.assert_array_equal(*outputs)


def test_layer_without_noise_draws_nothing():
    layer = SparseDense(units=3)
    training, inference = (
        numpy(layer(FRAMES, mask=MASK, training=value)) for value in (True, False)
    )
    np.testing.assert_array_equal(training, inference)
    assert len(layer.variables) == 2


def test_negative_noise_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        SparseDense(noise=-0.1)
