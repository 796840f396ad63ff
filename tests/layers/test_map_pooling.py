"""The three poolings of a feature map, against loops over the real cells."""

import keras
import numpy as np
import pytest

from ser_keras.layers.bilinear_pooling import BilinearPooling
from ser_keras.layers.bottom_up_attention import BottomUpAttention
from ser_keras.layers.masked_average_pooling import MaskedAveragePooling2D
from tests.reference import attention_cnn as reference

RNG = np.random.default_rng(17)
LENGTHS = (7, 3, 1)
CELLS = RNG.normal(size=(3, 5, 7, 4)).astype("float32")
MASK = np.arange(7)[None] < np.array(LENGTHS)[:, None]
GARBAGE = np.where(MASK[:, None, :, None], CELLS, np.nan).astype("float32")


def arrays(layer, cells=GARBAGE, mask=MASK):
    return [keras.ops.convert_to_numpy(tensor) for tensor in layer(cells, mask=mask)]


@pytest.mark.parametrize(
    ("layer_class", "oracle"),
    [(MaskedAveragePooling2D, reference.average), (BilinearPooling, reference.bilinear)],
)
def test_pooling_equals_the_equation_on_the_real_cells(layer_class, oracle):
    pooled, weights = arrays(layer_class())
    for row, length in enumerate(LENGTHS):
        expected = oracle(CELLS[row, :, :length].astype(float))
        np.testing.assert_allclose(pooled[row], expected, atol=1e-5)
        np.testing.assert_allclose(weights[row, :, :length], 1 / (5 * length), rtol=1e-5)
        assert (weights[row, :, length:] == 0).all()


def test_attention_equals_the_equation_on_the_real_cells():
    layer = BottomUpAttention(num_classes=3)
    layer.build(CELLS.shape)
    kernel, bias, vector = (RNG.normal(size=weight.shape) for weight in layer.weights)
    layer.set_weights([kernel, bias, vector])
    scores, bottom_up, top_down = arrays(layer)
    for row, length in enumerate(LENGTHS):
        cells = CELLS[row, :, :length].astype(float)
        expected, weights, maps = reference.attention(cells, kernel, bias, vector[:, 0])
        np.testing.assert_allclose(scores[row], expected, atol=1e-5)
        np.testing.assert_allclose(bottom_up[row, :, :length], weights, atol=1e-6)
        np.testing.assert_allclose(top_down[row, :, :length], maps, atol=1e-5)
        assert (bottom_up[row, :, length:] == 0).all()
        assert (top_down[row, :, length:] == 0).all()


def test_score_is_the_sum_of_the_product_of_both_maps():
    scores, bottom_up, top_down = arrays(BottomUpAttention(num_classes=3))
    product = (bottom_up[..., None] * top_down).sum(axis=(1, 2))
    np.testing.assert_allclose(scores, product, atol=1e-6)
    np.testing.assert_allclose(bottom_up.sum(axis=(1, 2)), 1, atol=1e-6)


def test_a_strong_cell_gets_the_attention():
    layer = BottomUpAttention(num_classes=2)
    layer.build((None, 2, None, 1))
    layer.set_weights([np.array([[1.0, -1.0]]), np.zeros(2), np.array([[50.0]])])
    cells = np.array([[0.0, 1.0], [0.0, 0.0]], "float32").reshape(1, 2, 2, 1)
    scores, bottom_up, _ = arrays(layer, cells, np.ones((1, 2), bool))
    np.testing.assert_allclose(scores[0], [1, -1], atol=1e-6)
    np.testing.assert_allclose(bottom_up[0], [[0, 1], [0, 0]], atol=1e-6)


def test_dead_channels_leave_bilinear_pooling_a_slope():
    model = keras.Sequential([keras.Input((2, 3, 2)), keras.layers.Dense(2)])
    source, mask = keras.Input((2, 3, 2)), keras.Input((3,), dtype="bool")
    products, _ = BilinearPooling()(keras.layers.ReLU()(model(source)), mask=mask)
    trained = keras.Model([source, mask], products)
    trained.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
    cells = np.full((1, 2, 3, 2), -1.0, "float32")
    model.set_weights([np.eye(2), np.array([0.0, 2.0])])
    trained.train_on_batch([cells, np.ones((1, 3), bool)], np.zeros((1, 4), "float32"))
    assert all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in model.weights)


@pytest.mark.parametrize("layer_class", [MaskedAveragePooling2D, BilinearPooling])
def test_no_real_frame_is_zero(layer_class):
    pooled, weights = arrays(layer_class(), CELLS, np.zeros((3, 7), bool))
    assert (pooled == 0).all()
    assert (weights == 0).all()
