"""Arrays become the tensors that TensorFlow reads, and back."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import tensor_pb2

from serving.client.messages import TensorProto
from serving.client.tensors import array_of, fill_typed_tensor, tensor_of

TYPES = [np.float32, np.float64, np.int32, np.int64, np.bool_]


@given(
    values=st.sampled_from(TYPES).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))
    )
)
def test_tensors_are_read_by_tensorflow_and_back(values):
    sent = tensor_pb2.TensorProto.FromString(tensor_of(values).SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(sent), values)
    received = TensorProto.FromString(tf.make_tensor_proto(values).SerializeToString())
    array = array_of(received)
    assert array.dtype == values.dtype
    np.testing.assert_array_equal(array, values)


def test_texts_are_bytes_and_one_value_fills_a_tensor():
    texts = array_of(tensor_of(np.array([["a", "b"]], object)))
    assert texts.tolist() == [[b"a", b"b"]]
    filled = TensorProto(dtype=1, float_val=[2.0])
    filled.tensor_shape.dim.add(size=3)
    assert array_of(filled).tolist() == [2.0, 2.0, 2.0]


def test_one_text_stays_bytes_of_any_length_and_can_be_sent_again():
    text = np.array([b"RIFF"], object)
    received = array_of(tensor_of(text))
    assert (received.dtype, received.tolist()) == (np.dtype(object), [b"RIFF"])
    assert tensor_of(received) == tensor_of(text)


def test_numbers_are_read_where_another_field_follows_them():
    filled = TensorProto(dtype=1, float_val=[1.0, 2.5, -3.0], int64_val=[7])
    filled.tensor_shape.dim.add(size=3)
    assert array_of(filled).tolist() == [1.0, 2.5, -3.0]


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="array of complex128, expected one of float32"):
        tensor_of(np.zeros(1, complex))
    with pytest.raises(TypeError, match="found type 19"):
        array_of(TensorProto(dtype=19))


@given(
    shape=st.lists(st.integers(1, 40), max_size=3),
    dtype=st.sampled_from(TYPES),
)
def test_typed_tensors_are_read_by_tensorflow_and_the_client(shape, dtype):
    values = (100 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    tensor = tensor_pb2.TensorProto()
    fill_typed_tensor(tensor, np.asarray(values))
    assert not tensor.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(tensor), values)
    array = array_of(TensorProto.FromString(tensor.SerializeToString()))
    np.testing.assert_array_equal(array, values)
    assert array.dtype == dtype


@pytest.mark.parametrize("size", [0, 1, 31, 32, 127, 128, 5000])
def test_floats_of_any_number_are_in_the_field_of_their_type(size):
    values = np.arange(size, dtype=np.float32) / 3
    tensor = tensor_pb2.TensorProto()
    fill_typed_tensor(tensor, values)
    assert np.float32(tensor.float_val).tolist() == values.tolist()
