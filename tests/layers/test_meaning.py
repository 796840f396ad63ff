"""What the layers compute, against slow oracles and worked examples."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.layers.local_response_norm import LocalResponseNormalization
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.spectrogram_attention import SpectrogramAttention
from ser_keras.layers.spectrogram_image import SpectrogramImage
from ser_keras.layers.split_conv2d import SplitConv2D
from ser_keras.layers.time_mask import StridedMask, TimeMask
from tests.reference import alexnet_fcn as reference

RNG = np.random.default_rng(5)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_local_response_norm_equals_the_equation(beta):
    image = RNG.normal(scale=50, size=(3, 4, 9)).astype("float32")
    layer = LocalResponseNormalization(size=5, alpha=1e-2, beta=beta, bias=2.0)
    expected = reference.local_response_norm(image, 5, 1e-2, beta, 2.0)
    np.testing.assert_allclose(numpy(layer(image[None]))[0], expected, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own operation")
def test_local_response_norm_equals_tensorflow():
    import tensorflow as tf

    image = RNG.normal(scale=100, size=(2, 3, 4, 96)).astype("float32")
    # TensorFlow counts neighbours on one side and does not divide alpha by their number.
    expected = tf.nn.local_response_normalization(image, 2, 1.0, 1e-4 / 5, 0.75)
    np.testing.assert_allclose(numpy(LocalResponseNormalization()(image)), expected, rtol=1e-5)


def test_local_response_norm_refuses_an_even_size():
    with pytest.raises(ValueError, match="size=4"):
        LocalResponseNormalization(size=4)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_split_conv_equals_the_grouped_convolution(groups):
    image = RNG.normal(size=(6, 7, 8)).astype("float32")
    layer = SplitConv2D(filters=8, kernel_size=3, groups=groups, padding="same")
    layer.build((None, 6, 7, 8))
    kernel, bias = RNG.normal(size=layer.kernel.shape), RNG.normal(size=8)
    layer.set_weights([kernel, bias])
    expected = reference.conv2d(image, kernel, bias, padding=1, groups=groups)
    np.testing.assert_allclose(numpy(layer(image[None]))[0], expected, atol=1e-4)


def test_attention_equals_the_equations_on_the_valid_cells():
    cells = RNG.normal(size=(2, 5, 7, 4)).astype("float32")
    mask = np.arange(7)[None] < np.array([[7], [3]])
    layer = SpectrogramAttention(units=6, attention_lambda=0.3)
    layer.build(cells.shape)
    matrix, bias, vector = (RNG.normal(size=weight.shape) for weight in layer.weights)
    layer.set_weights([matrix, bias, vector])
    context, alpha = (numpy(tensor) for tensor in layer(cells, mask=mask))
    for row, length in enumerate((7, 3)):
        valid = cells[row, :, :length]
        wanted, weights = reference.attention(
            valid.reshape(-1, 4).astype(float), matrix, bias, vector[:, 0], 0.3
        )
        np.testing.assert_allclose(context[row], wanted, atol=1e-5)
        np.testing.assert_allclose(alpha[row, :, :length].ravel(), weights, atol=1e-6)
        assert (alpha[row, :, length:] == 0).all()


def test_attention_with_lambda_zero_is_the_mean_over_valid_cells():
    cells = RNG.normal(size=(1, 5, 7, 4)).astype("float32")
    mask = np.arange(7)[None] < 4
    context, _ = SpectrogramAttention(units=3, attention_lambda=0.0)(cells, mask=mask)
    np.testing.assert_allclose(numpy(context)[0], cells[0, :, :4].mean(axis=(0, 1)), atol=1e-6)


def test_image_of_a_short_utterance_is_widened_and_counts_as_wide():
    frames = np.full((2, 50, 6), 0.5, "float32")
    mask = np.arange(50)[None] < np.array([[50], [20]])
    layer = SpectrogramImage(channels=3, imagenet=True, minimum_frames=70)
    image, valid = (numpy(tensor) for tensor in layer(frames, mask=mask))
    for row, length in enumerate((50, 20)):
        np.testing.assert_allclose(image[row], reference.image_of(frames[row, :length]), atol=1e-6)
    assert valid.all()


def test_image_refuses_imagenet_statistics_for_one_channel():
    with pytest.raises(ValueError, match="channels=1"):
        SpectrogramImage(channels=1, imagenet=True)


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(0, 40),
    extra=st.integers(0, 20),
    window=st.integers(1, 11),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
)
def test_strided_mask_counts_the_windows_that_fit_the_utterance(
    length, extra, window, stride, padding
):
    width = max(length + extra, window)
    mask = np.arange(width)[None] < length
    columns = numpy(StridedMask(window=window, stride=stride, padding=padding)(mask))[0]
    fits = len(range(0, length + 2 * padding - window + 1, stride))
    assert columns.sum() == fits
    assert columns[:fits].all()
    assert len(columns) == len(range(0, width + 2 * padding - window + 1, stride))


def test_time_mask_zeroes_padding_alone():
    cells = np.ones((2, 3, 5, 2), "float32")
    mask = np.arange(5)[None] < np.array([[5], [2]])
    masked = numpy(TimeMask()(cells, mask=mask))
    assert masked[0].all()
    assert masked[1, :, :2].all()
    assert not masked[1, :, 2:].any()


def test_batch_norm_leaves_padding_out_of_its_statistics():
    cells = RNG.normal(3.0, 2.0, size=(2, 5, 7, 4)).astype("float32")
    mask = np.arange(7)[None] < np.array([[7], [3]])
    garbage = np.where(mask[:, None, :, None], cells, 1e4).astype("float32")
    layer = MaskedBatchNormalization(momentum=0.5, epsilon=1e-3)
    outputs = numpy(layer(garbage, mask=mask, training=True))
    valid = np.concatenate([cells[0].reshape(-1, 4), cells[1, :, :3].reshape(-1, 4)])
    mean, variance = valid.mean(axis=0), valid.var(axis=0)
    np.testing.assert_allclose(numpy(layer.moving_mean), 0.5 * mean, rtol=1e-4)
    np.testing.assert_allclose(numpy(layer.moving_variance), 0.5 + 0.5 * variance, rtol=1e-4)
    expected = (cells - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(outputs[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(outputs[1, :, :3], expected[1, :, :3], atol=1e-4)


def test_batch_norm_of_frames_is_that_of_a_map_one_row_high():
    frames = RNG.normal(size=(2, 7, 4)).astype("float32")
    mask = np.arange(7)[None] < np.array([[7], [3]])
    outputs = [
        numpy(MaskedBatchNormalization()(inputs, mask=mask, training=True))
        for inputs in (frames, frames[:, None])
    ]
    np.testing.assert_array_equal(outputs[0], outputs[1][:, 0])


def test_batch_norm_in_use_applies_the_moving_statistics():
    layer = MaskedBatchNormalization(epsilon=0.0)
    layer.build((None, 1, None, 1))
    layer.set_weights([np.array([value]) for value in (2.0, 1.0, 3.0, 4.0)])
    outputs = layer(np.array([5.0, 3.0], "float32").reshape(1, 1, 2, 1), mask=np.ones((1, 2), bool))
    np.testing.assert_allclose(numpy(outputs).ravel(), [3.0, 1.0], atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graphs")
@pytest.mark.parametrize(
    ("layer_class", "xla"), [(SplitConv2D, False), (keras.layers.Conv2D, True)]
)
def test_split_conv_needs_no_xla_where_the_grouped_one_does(layer_class, xla):
    import tensorflow as tf

    layer = layer_class(filters=4, kernel_size=3, groups=2)
    layer.build((None, 5, 5, 4))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None, 5, 5, 4))).graph
    assert ("_XlaMustCompile" in str(graph.as_graph_def())) == xla
