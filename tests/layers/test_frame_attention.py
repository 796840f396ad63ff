"""What attention over frames computes, against the equations."""

import keras
import numpy as np
import pytest

from ser_keras.layers.frame_attention import AttentionPooling
from tests.reference import sparse_autoencoder as reference

RNG = np.random.default_rng(9)
LENGTHS = (7, 3, 1)
FRAMES = RNG.normal(size=(3, 7, 4)).astype("float32")
MASK = np.arange(7)[None] < np.array(LENGTHS)[:, None]


def pooled(layer, frames, mask, vector=None):
    layer.build(frames.shape)
    if vector is not None:
        layer.set_weights([np.asarray(vector)[:, None]])
    return [keras.ops.convert_to_numpy(tensor) for tensor in layer(frames, mask=mask)]


@pytest.mark.parametrize("deviation", [False, True])
def test_attention_equals_the_equations_on_the_valid_frames(deviation):
    vector = RNG.normal(size=4)
    garbage = np.where(MASK[..., None], FRAMES, np.nan).astype("float32")
    context, alpha = pooled(AttentionPooling(deviation=deviation), garbage, MASK, vector)
    assert context.shape == (3, 8 if deviation else 4)
    for row, length in enumerate(LENGTHS):
        valid = FRAMES[row, :length].astype(float)
        wanted, weights = reference.attend(valid, vector, deviation)
        np.testing.assert_allclose(context[row], wanted, atol=1e-5)
        np.testing.assert_allclose(alpha[row, :length], weights, atol=1e-6)
        assert (alpha[row, length:] == 0).all()


def test_a_hidden_layer_scores_what_the_equation_scores_of_its_outputs():
    layer = AttentionPooling(deviation=True, units=5)
    layer.build(FRAMES.shape)
    kernel, bias, vector = (RNG.normal(size=shape) for shape in ((4, 5), 5, 5))
    layer.set_weights([kernel, bias, vector[:, None]])
    context, alpha = map(keras.ops.convert_to_numpy, layer(FRAMES, mask=MASK))
    for row, length in enumerate(LENGTHS):
        valid = FRAMES[row, :length].astype(float)
        _, weights = reference.attend(np.tanh(valid @ kernel + bias), vector)
        np.testing.assert_allclose(alpha[row, :length], weights, atol=1e-6)
        mean = weights @ valid
        deviation = np.sqrt(weights @ (valid - mean) ** 2)
        expected = [*mean, *np.maximum(deviation, 1e-3)]
        np.testing.assert_allclose(context[row], expected, atol=1e-4)


def test_worked_example():
    frames = np.array([[[0.0, 1.0], [np.log(3.0), 5.0]]], "float32")
    context, alpha = pooled(AttentionPooling(), frames, np.ones((1, 2), bool), [1.0, 0.0])
    np.testing.assert_allclose(alpha, [[0.25, 0.75]], atol=1e-6)
    np.testing.assert_allclose(context, [[0.75 * np.log(3.0), 4.0]], atol=1e-6)


def test_without_a_preference_it_is_the_plain_mean_and_deviation():
    context, _ = pooled(AttentionPooling(deviation=True), FRAMES, MASK, np.zeros(4))
    for row, length in enumerate(LENGTHS[:2]):
        valid = FRAMES[row, :length]
        plain = np.concatenate([valid.mean(axis=0), valid.std(axis=0)])
        np.testing.assert_allclose(context[row], plain, atol=1e-5)


def test_large_scores_put_all_attention_on_one_frame_and_stay_finite():
    context, alpha = pooled(AttentionPooling(deviation=True), FRAMES, MASK, np.full(4, 1e4))
    assert np.isfinite(context).all()
    best = np.where(MASK, FRAMES.sum(axis=-1), -np.inf).argmax(axis=1)
    np.testing.assert_allclose(alpha[np.arange(3), best], 1.0, atol=1e-6)


def test_utterance_without_frames_is_finite():
    outputs = pooled(AttentionPooling(deviation=True), FRAMES, np.zeros((3, 7), bool))
    assert all(np.isfinite(array).all() for array in outputs)
