"""TensorFlow Serving's gRPC services over a `ModelManager`."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from ser_keras.errors import ConfigError
from serving.client.tensors import content_of, fill_typed_tensor
from serving.server.config_files import models_of
from serving.server.errors import RequestError
from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.session import DEFAULT

# (request, seconds that are left or None) -> response.
Method = Callable[[Any, float | None], Any]
# Time that an answer or a refusal needs to reach the client before the deadline: at most so many
# seconds, and at most this share of the remaining time.
RETURN_S, RETURN_SHARE = 0.03, 0.1
HEADER = ("x-ser-server", "development server, not TensorFlow Serving")


class Services:
    """Predict, GetModelMetadata, GetModelStatus and HandleReloadConfigRequest.

    Classify, Regress and MultiInference are not served: gRPC says UNIMPLEMENTED.

    Args:
        manager: the models.
        metrics: counts the requests.
    """

    def __init__(self, manager: ModelManager, metrics: Metrics):
        self.manager, self.metrics = manager, metrics

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Returns the handlers to add to a gRPC server."""
        prediction = {
            "Predict": (predict_pb2.PredictRequest, self._predict),
            "GetModelMetadata": (
                get_model_metadata_pb2.GetModelMetadataRequest,
                self._metadata,
            ),
        }
        models = {
            "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, self._status),
            "HandleReloadConfigRequest": (
                model_management_pb2.ReloadConfigRequest,
                self._reload,
            ),
        }
        services = {"PredictionService": prediction, "ModelService": models}
        return [
            grpc.method_handlers_generic_handler(
                f"tensorflow.serving.{service}",
                {
                    name: self._handler(request_class, method)
                    for name, (request_class, method) in methods.items()
                },
            )
            for service, methods in services.items()
        ]

    def _handler(self, request_class: Any, method: Method) -> grpc.RpcMethodHandler:
        """Returns the handler of a method, which the metrics call by its function's name.

        Bytes that are no such request are refused here, since gRPC would report them as an internal
        error of the server.
        """

        def parse(data: bytes) -> Any:
            try:
                return request_class.FromString(data)
            except DecodeError as error:
                name = request_class.DESCRIPTOR.name
                return RequestError.invalid(f"The request is no {name}: {error}")

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            context.send_initial_metadata([HEADER])
            name = request.model_spec.name if hasattr(request, "model_spec") else ""
            began, code = time.perf_counter(), grpc.StatusCode.OK
            message = ""
            try:
                if isinstance(request, RequestError):
                    raise request
                return method(request, processing_time_s(context.time_remaining()))
            except RequestError as error:
                code, message = error.code, error.message
            finally:
                seconds = time.perf_counter() - began
                client = unquote(context.peer().partition(":")[2])
                self.metrics.count(name, method.__name__, code.name, seconds, client, message)
            context.abort(code, message)

        return grpc.unary_unary_rpc_method_handler(
            answer, parse, lambda response: response.SerializeToString()
        )

    def _predict(self, request: Any, timeout_s: float | None) -> Any:
        spec = request.model_spec
        name = spec.signature_name or DEFAULT
        with self.manager.lend(spec.name, *version_choice(spec)) as (model, version):
            inputs = {key: _array(key, value) for key, value in request.inputs.items()}
            outputs = model.run(name, inputs, request.output_filter, timeout_s)
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, spec.name, version, name)
        for key, values in outputs.items():
            fill_typed_tensor(response.outputs[key], values)
        return response

    def _metadata(self, request: Any, timeout_s: float | None) -> Any:
        if list(request.metadata_field) != ["signature_def"]:
            fields = list(request.metadata_field)
            raise RequestError.invalid(
                f"Metadata field {fields[0]} is not supported"
                if fields
                else "GetModelMetadataRequest must specify at least one metadata_field"
            )
        spec = request.model_spec
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.manager.lend(spec.name, *version_choice(spec)) as (model, version):
            _fill_spec(response.model_spec, spec.name, version, "")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in model.described.items():
                signatures.signature_def[name].CopyFrom(signature)
        packed = any_pb2.Any()
        packed.Pack(signatures)
        response.metadata["signature_def"].CopyFrom(packed)
        return response

    def _status(self, request: Any, timeout_s: float | None) -> Any:
        spec = request.model_spec
        if not spec.name:
            raise RequestError.invalid("Missing ModelSpec")
        version, label = version_choice(spec)
        if label is not None:
            with self.manager.lend(spec.name, None, label) as (_, version):
                pass
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, known in self.manager.states(spec.name, version).items():
            status = response.model_version_status.add(version=number, state=known.state)
            if known.error is not None:
                status.status.error_code = known.error.code.value[0]
                status.status.error_message = known.error.message
        return response

    def _reload(self, request: Any, timeout_s: float | None) -> Any:
        if request.config.WhichOneof("config") != "model_config_list":
            raise RequestError.invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        try:
            self.manager.reload(models_of(request.config))
        except ConfigError as error:
            raise RequestError.invalid(str(error)) from None
        return model_management_pb2.ReloadConfigResponse()


def processing_time_s(remaining_s: float | None) -> float | None:
    """Returns how much of a call's remaining time its processing may take, None without a limit.

    Example:
        >>> processing_time_s(1.0), round(processing_time_s(0.1), 3)
        (0.97, 0.09)
    """
    if remaining_s is None:
        return None
    return remaining_s - min(RETURN_S, RETURN_SHARE * remaining_s)


def version_choice(spec: Any) -> tuple[int | None, str | None]:
    """Returns (version, label) of a ModelSpec, None for what it does not name."""
    kind = spec.WhichOneof("version_choice")
    return (
        spec.version.value if kind == "version" else None,
        spec.version_label if kind == "version_label" else None,
    )


def _fill_spec(spec: Any, name: str, version: int, signature: str) -> None:
    spec.name = name
    spec.version.value = version
    spec.signature_name = signature


def _array(name: str, tensor: Any) -> np.ndarray:
    try:
        # `make_ndarray` copies the array once more, and is slow for single numbers.
        content = content_of(tensor)
        return tf.make_ndarray(tensor) if content is None else content
    except (TypeError, ValueError, KeyError) as error:
        raise RequestError.invalid(f"input {name}: not a valid tensor: {error}") from None
