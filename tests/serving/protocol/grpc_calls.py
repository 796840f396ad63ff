"""Sends a case's request over gRPC and returns the answer as plain values."""

import time
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format, text_format
from grpc_health.v1 import health_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

PREDICTION, MODELS = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"
# Name of a call: (path, class of the request, class of the answer).
CALLS = {
    "Predict": (f"{PREDICTION}/Predict", predict_pb2.PredictRequest, predict_pb2.PredictResponse),
    "GetModelMetadata": (
        f"{PREDICTION}/GetModelMetadata",
        get_model_metadata_pb2.GetModelMetadataRequest,
        get_model_metadata_pb2.GetModelMetadataResponse,
    ),
    "Classify": (
        f"{PREDICTION}/Classify",
        classification_pb2.ClassificationRequest,
        classification_pb2.ClassificationResponse,
    ),
    "Regress": (
        f"{PREDICTION}/Regress",
        regression_pb2.RegressionRequest,
        regression_pb2.RegressionResponse,
    ),
    "MultiInference": (
        f"{PREDICTION}/MultiInference",
        inference_pb2.MultiInferenceRequest,
        inference_pb2.MultiInferenceResponse,
    ),
    "GetModelStatus": (
        f"{MODELS}/GetModelStatus",
        get_model_status_pb2.GetModelStatusRequest,
        get_model_status_pb2.GetModelStatusResponse,
    ),
    "HandleReloadConfigRequest": (
        f"{MODELS}/HandleReloadConfigRequest",
        model_management_pb2.ReloadConfigRequest,
        model_management_pb2.ReloadConfigResponse,
    ),
    "Health": (
        "/grpc.health.v1.Health/Check",
        health_pb2.HealthCheckRequest,
        health_pb2.HealthCheckResponse,
    ),
}
TYPES = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "int64": np.int64,
    "bool": bool,
    "string": object,
}
TIMEOUT_S = 60.0
# How long a change of the models may take, where a case waits for it.
CHANGE_S = 30.0


def ask(channel: grpc.Channel, request: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Returns `code`, `message`, and what the answer holds.

    Args:
        channel: to the server.
        request: `call`, a name of `CALLS` or a path, with `request` in text format or `bytes` in
            hexadecimal; or the parts of a request for Predict: `spec`, `inputs`, `tensors` and
            `filter`.
        base: folder of the models' folders, for BASE in requests.
    """
    name = request.get("call", "Predict")
    path, request_class, answer_class = CALLS.get(name, (name, None, None))
    call = channel.unary_unary(path)
    compression = grpc.Compression.Gzip if "compression" in request else None
    data = _serialized(request, request_class, base)
    try:
        answer = call(data, timeout=TIMEOUT_S, compression=compression)
    except grpc.RpcError as error:
        return {"code": error.code().name, "message": error.details()}
    return {"code": "OK"} | _plain(answer_class.FromString(answer))


def ask_until(channel: grpc.Channel, request: Mapping[str, Any], base: str, code: str) -> Any:
    """Returns the answer once it has the expected code, or the last one after half a minute."""
    deadline = time.monotonic() + CHANGE_S
    while True:
        answer = ask(channel, request, base)
        if answer["code"] == code or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


def _serialized(request: Mapping[str, Any], request_class: Any, base: str) -> bytes:
    if "bytes" in request:
        return bytes.fromhex(request["bytes"])
    if "request" in request:
        text = request["request"].replace("BASE", base)
        return text_format.Parse(text, request_class()).SerializeToString()
    message = predict_pb2.PredictRequest(output_filter=request.get("filter", ()))
    if "spec" in request:
        message.model_spec.SetInParent()
        text_format.Parse(request["spec"].replace("LONG", "long" * 2000), message.model_spec)
    for name, typed in request.get("inputs", {}).items():
        ((kind, values),) = typed.items()
        message.inputs[name].CopyFrom(tf.make_tensor_proto(np.array(values, TYPES[kind])))
    for name, text in request.get("tensors", {}).items():
        message.inputs[name].CopyFrom(_tensor(text))
    if "size" in request:
        zeros = np.zeros(request["size"] // 4, np.float32)
        message.inputs["x"].CopyFrom(tf.make_tensor_proto(zeros))
    return message.SerializeToString()


def _tensor(text: str) -> tensor_pb2.TensorProto:
    """Returns a TensorProto in text format, whose type may be one that does not exist."""
    tensor = tensor_pb2.TensorProto()
    if "dtype: 999" in text:
        tensor.dtype = 999
        text = text.replace("dtype: 999", "")
    return text_format.Merge(text, tensor)


def _plain(answer: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"answer": json_format.MessageToDict(answer)}
    if isinstance(answer, predict_pb2.PredictResponse):
        plain["outputs"] = {name: _values(tensor) for name, tensor in answer.outputs.items()}
        spec = json_format.MessageToDict(answer.model_spec, preserving_proto_field_name=True)
        plain["spec"] = spec
    if isinstance(answer, get_model_metadata_pb2.GetModelMetadataResponse):
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        plain["signatures"] = sorted(signatures.signature_def)
        del plain["answer"]["metadata"]
    return plain


def _values(tensor: Any) -> Any:
    values = tf.make_ndarray(tensor).tolist()
    if tensor.dtype != tf.string:
        return values
    return [value.decode() for value in values] if isinstance(values, list) else values.decode()
