"""The messages are TensorFlow Serving's, byte for byte."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.client import messages

TYPES = [np.float32, np.float64, np.int32, np.int64, np.bool_]


@given(
    values=st.sampled_from(TYPES).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))
    )
)
def test_tensors_are_read_by_tensorflow_and_back(values):
    theirs = tf.make_tensor_proto(tf.constant(0.0))
    theirs.ParseFromString(messages.tensor_of(values).SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(theirs), values)
    ours = messages.TensorProto.FromString(tf.make_tensor_proto(values).SerializeToString())
    found = messages.array_of(ours)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_texts_are_bytes_and_one_value_fills_a_tensor():
    found = messages.array_of(messages.tensor_of(np.array([["a", "b"]], object)))
    assert found.tolist() == [[b"a", b"b"]]
    filled = messages.TensorProto(dtype=1, float_val=[2.0])
    filled.tensor_shape.dim.add(size=3)
    assert messages.array_of(filled).tolist() == [2.0, 2.0, 2.0]


def test_numbers_are_read_where_another_field_follows_them():
    filled = messages.TensorProto(dtype=1, float_val=[1.0, 2.5, -3.0], int64_val=[7])
    filled.tensor_shape.dim.add(size=3)
    assert messages.array_of(filled).tolist() == [1.0, 2.5, -3.0]


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="array of complex128, expected one of float32"):
        messages.tensor_of(np.zeros(1, complex))
    with pytest.raises(TypeError, match="found type 19"):
        messages.array_of(messages.TensorProto(dtype=19))


def test_requests_and_answers_have_the_numbers_of_the_published_protocol():
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    ours = messages.PredictRequest()
    ours.model_spec.name = "m"
    ours.model_spec.version.value = 7
    ours.model_spec.signature_name = "s"
    ours.inputs["x"].CopyFrom(messages.tensor_of(np.arange(3.0)))
    ours.output_filter.append("y")
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert (theirs.model_spec.name, theirs.model_spec.version.value) == ("m", 7)
    assert theirs.model_spec.signature_name == "s"
    assert tf.make_ndarray(theirs.inputs["x"]).tolist() == [0.0, 1.0, 2.0]
    assert list(theirs.output_filter) == ["y"]

    answer = predict_pb2.PredictResponse()
    answer.model_spec.version.value = 9
    answer.outputs["p"].CopyFrom(tf.make_tensor_proto([1.5]))
    read = messages.PredictResponse.FromString(answer.SerializeToString())
    assert read.model_spec.version.value == 9
    assert messages.array_of(read.outputs["p"]).tolist() == [1.5]

    status = get_model_status_pb2.GetModelStatusResponse()
    status.model_version_status.add(version=3, state=messages.AVAILABLE)
    read = messages.GetModelStatusResponse.FromString(status.SerializeToString())
    assert [(v.version, v.state) for v in read.model_version_status] == [(3, 30)]


def test_signatures_are_read_from_the_published_metadata():
    from google.protobuf import any_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2

    ours = messages.GetModelMetadataRequest()
    ours.model_spec.name = "m"
    ours.metadata_field.append("signature_def")
    theirs = get_model_metadata_pb2.GetModelMetadataRequest.FromString(ours.SerializeToString())
    assert theirs.model_spec.name == "m"
    assert list(theirs.metadata_field) == ["signature_def"]

    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["stream"].inputs["features"].dtype = 1
    signatures.signature_def["front_end"].method_name = "predict"
    packed = any_pb2.Any()
    packed.Pack(signatures)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.metadata["signature_def"].CopyFrom(packed)
    read = messages.GetModelMetadataResponse.FromString(answer.SerializeToString())
    names = messages.SignatureDefMap.FromString(read.metadata["signature_def"].value).signature_def
    assert set(names) == {"stream", "front_end"}
