import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from serving.client import messages
from serving.server.grpc_api import _fill_tensor


@given(
    shape=st.lists(st.integers(1, 40), max_size=3),
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.bool_]),
)
def test_what_is_filled_in_is_what_tensorflow_and_the_client_read(shape, dtype):
    values = (100 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    tensor = tensor_pb2.TensorProto()
    _fill_tensor(tensor, np.asarray(values))
    assert not tensor.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(tensor), values)
    read = messages.array_of(messages.TensorProto.FromString(tensor.SerializeToString()))
    np.testing.assert_array_equal(read, values)
    assert read.dtype == dtype


@pytest.mark.parametrize("size", [0, 1, 31, 32, 127, 128, 5000])
def test_floats_of_any_number_are_in_the_field_of_their_type(size):
    values = np.arange(size, dtype=np.float32) / 3
    tensor = tensor_pb2.TensorProto()
    _fill_tensor(tensor, values)
    assert np.float32(tensor.float_val).tolist() == values.tolist()
