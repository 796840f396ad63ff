"""The attention of MOMA and the pooling of frames, against the equations on the valid frames."""

import keras
import numpy as np
import pytest

from ser_keras.layers.moma_attention import AttentionMixture, ProductAttention, ResidualAttention
from ser_keras.layers.weighted_pooling import WeightedPooling
from tests.reference import moma as reference

LENGTHS = (7, 3, 1)
FRAMES = np.random.default_rng(9).normal(size=(3, 7, 4)).astype("float32")
MASK = np.arange(7)[None] < np.array(LENGTHS)[:, None]
GARBAGE = np.where(MASK[..., None], FRAMES, np.nan).astype("float32")
ROWS = [(row, FRAMES[row, :length].astype(float)) for row, length in enumerate(LENGTHS)]


def seeded(layer, seed=1):
    layer.build(FRAMES.shape)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    return weights


def arrays(outputs):
    return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(outputs)]


def padded(weights, frames=7):
    return np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, frames - weights.shape[-1])])


def test_block_equals_the_equations():
    layer = ProductAttention(units=5)
    weights = seeded(layer)
    (attention,) = arrays(layer(GARBAGE, mask=MASK))
    for row, frames in ROWS:
        expected = reference.product_attention(frames, *weights)
        np.testing.assert_allclose(attention[row], padded(expected), atol=1e-6)
    assert (attention[~MASK] == 0).all()


@pytest.mark.parametrize("scale_by_length", [False, True])
def test_residual_equals_the_equations(scale_by_length):
    layer = ResidualAttention(units=5, scale_by_length=scale_by_length)
    weights = seeded(layer)
    outputs, attention = arrays(layer(GARBAGE, mask=MASK))
    for row, frames in ROWS:
        expected = reference.product_attention(frames, *weights)
        np.testing.assert_allclose(attention[row], padded(expected), atol=1e-6)
        added = reference.residual(frames, expected, scale_by_length)
        np.testing.assert_allclose(outputs[row, : len(frames)], added, atol=1e-5)
    assert (outputs[~MASK] == 0).all()


def test_uniform_attention_scaled_by_length_doubles_the_frames():
    layer = ResidualAttention(units=5, scale_by_length=True)
    layer.build(FRAMES.shape)
    layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    outputs, _ = arrays(layer(FRAMES, mask=MASK))
    np.testing.assert_allclose(outputs[MASK], 2 * FRAMES[MASK], atol=1e-6)


@pytest.mark.parametrize("blocks", [1, 3])
def test_mixture_equals_the_equations(blocks):
    layer = AttentionMixture(units=5, blocks=blocks)
    matrices, shares = reference.split_mixture(seeded(layer))
    attention, views, gamma = arrays(layer(GARBAGE, mask=MASK))
    for row, frames in ROWS:
        expected, single = reference.mixture(frames, matrices, shares)
        np.testing.assert_allclose(attention[row], padded(expected), atol=1e-5)
        np.testing.assert_allclose(views[row], padded(single), atol=1e-6)
        np.testing.assert_allclose(gamma[row], shares, atol=1e-6)


def test_gamma_starts_in_the_unit_interval_and_blocks_start_apart():
    layer = AttentionMixture(units=8, blocks=5)
    layer.build(FRAMES.shape)
    blocks, gamma = reference.split_mixture(layer.get_weights())
    assert ((gamma >= 0) & (gamma < 1)).all()
    assert len(set(gamma.tolist())) == 5
    assert len({block[0][0, 0] for block in blocks}) == 5


@pytest.mark.parametrize("deviation", [False, True])
def test_pooling_equals_the_sum(deviation):
    weights = np.where(MASK, np.random.default_rng(3).normal(0.5, 1.0, size=MASK.shape), 0)
    weights[2, 0] = 0.7
    layer = WeightedPooling(deviation=deviation)
    context, same = arrays(layer(GARBAGE, mask=MASK, weights=weights.astype("float32")))
    np.testing.assert_allclose(same, weights, atol=1e-6)
    assert (weights < 0).any()
    for row, frames in ROWS:
        expected = reference.pool(frames, weights[row, : len(frames)], deviation)
        np.testing.assert_allclose(context[row], expected, atol=1e-5)


def test_pooling_without_weights_is_the_plain_mean_and_deviation():
    context, weights = arrays(WeightedPooling(deviation=True)(GARBAGE, mask=MASK))
    for row, frames in ROWS[:2]:
        plain = np.concatenate([frames.mean(axis=0), frames.std(axis=0)])
        np.testing.assert_allclose(context[row], plain, atol=1e-5)
        np.testing.assert_allclose(weights[row, : len(frames)], 1 / len(frames), rtol=1e-6)


def test_utterance_without_frames_is_finite():
    empty = np.zeros_like(MASK)
    for layer in (ResidualAttention(3), AttentionMixture(3, 2), WeightedPooling(deviation=True)):
        assert all(np.isfinite(array).all() for array in arrays(layer(FRAMES, mask=empty)))
