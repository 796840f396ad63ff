"""The messages are TensorFlow Serving's, byte for byte."""

import numpy as np
import tensorflow as tf

from serving.client import messages
from serving.client.tensors import array_of, tensor_of


def test_requests_and_answers_have_the_numbers_of_the_published_protocol():
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    own = messages.PredictRequest()
    own.model_spec.name = "m"
    own.model_spec.version.value = 7
    own.model_spec.signature_name = "s"
    own.inputs["x"].CopyFrom(tensor_of(np.arange(3.0)))
    own.output_filter.append("y")
    published = predict_pb2.PredictRequest.FromString(own.SerializeToString())
    assert (published.model_spec.name, published.model_spec.version.value) == ("m", 7)
    assert published.model_spec.signature_name == "s"
    assert tf.make_ndarray(published.inputs["x"]).tolist() == [0.0, 1.0, 2.0]
    assert list(published.output_filter) == ["y"]

    answer = predict_pb2.PredictResponse()
    answer.model_spec.version.value = 9
    answer.outputs["p"].CopyFrom(tf.make_tensor_proto([1.5]))
    read = messages.PredictResponse.FromString(answer.SerializeToString())
    assert read.model_spec.version.value == 9
    assert array_of(read.outputs["p"]).tolist() == [1.5]

    status = get_model_status_pb2.GetModelStatusResponse()
    status.model_version_status.add(version=3, state=messages.AVAILABLE)
    read = messages.GetModelStatusResponse.FromString(status.SerializeToString())
    assert [(v.version, v.state) for v in read.model_version_status] == [(3, 30)]


def test_signatures_are_read_from_the_published_metadata():
    from google.protobuf import any_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2

    own = messages.GetModelMetadataRequest()
    own.model_spec.name = "m"
    own.metadata_field.append("signature_def")
    published = get_model_metadata_pb2.GetModelMetadataRequest.FromString(own.SerializeToString())
    assert published.model_spec.name == "m"
    assert list(published.metadata_field) == ["signature_def"]

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
