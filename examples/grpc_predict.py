"""Asks a server with tensorflow-serving-api alone: python examples/grpc_predict.py speech.wav."""

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

given, defaults = sys.argv[1:], ["speech.wav", "localhost:8500", "moma"]
path, endpoint, model = given + defaults[len(given) :]
request = predict_pb2.PredictRequest()
request.model_spec.name = model
request.model_spec.signature_name = "wav_bytes"
with open(path, "rb") as file:
    request.inputs["wav"].CopyFrom(tf.make_tensor_proto([file.read()]))
with grpc.insecure_channel(endpoint) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    said = stub.Predict(request, timeout=30, wait_for_ready=True).outputs
for name, value in zip(said["classes"].string_val, said["probabilities"].float_val, strict=True):
    print(f"{name.decode():10} {value:.2f}")
