"""Asks a server with tensorflow-serving-api alone: python examples/grpc_predict.py speech.wav."""

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

arguments, defaults = sys.argv[1:], ["speech.wav", "localhost:8500", "moma"]
path, endpoint, model = arguments + defaults[len(arguments) :]
request = predict_pb2.PredictRequest()
request.model_spec.name = model
request.model_spec.signature_name = "wav_bytes"
with open(path, "rb") as file:
    request.inputs["wav"].CopyFrom(tf.make_tensor_proto([file.read()]))
with grpc.insecure_channel(endpoint) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    outputs = stub.Predict(request, timeout=30, wait_for_ready=True).outputs
for label, probability in zip(
    outputs["classes"].string_val, outputs["probabilities"].float_val, strict=True
):
    print(f"{label.decode():10} {probability:.2f}")
