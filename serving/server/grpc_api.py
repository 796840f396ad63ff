"""TensorFlow Serving's gRPC services over a `ModelManager`."""

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from ser_keras.errors import ConfigError
from serving.client.tensors import fill_typed_tensor
from serving.server.config_files import models_of
from serving.server.errors import RequestError
from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.requests.inputs import PredictRequest
from serving.server.requests.memory import MemoryBudget
from serving.server.requests.received import ReceivedRequest, received
from serving.server.requests.record import RequestRecord
from serving.server.requests.text import shown
from serving.server.session import DEFAULT

# (request, its record, seconds that are left or None) -> response.
Method = Callable[[ReceivedRequest, RequestRecord, float | None], Any]
# Time that an answer or a refusal needs to reach the client before the deadline: at most so many
# seconds, and at most this share of the remaining time.
RETURN_S, RETURN_SHARE = 0.03, 0.1
UNKNOWN_METHOD = "Method not found!"
HEADER = ("x-ser-server", "development server, not TensorFlow Serving")


class Services:
    """Predict, GetModelMetadata, GetModelStatus and HandleReloadConfigRequest.

    Classify, Regress and MultiInference are not served: gRPC says UNIMPLEMENTED.

    Args:
        manager: the models.
        metrics: counts and logs the requests.
        memory: of all requests.
        max_array_bytes: int. Most bytes of the arrays of one request.
    """

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        memory: MemoryBudget,
        max_array_bytes: int,
    ):
        self.manager, self.metrics = manager, metrics
        self.memory, self.max_array_bytes = memory, max_array_bytes

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Returns the handlers to add to a gRPC server."""
        prediction = {
            "Predict": (PredictRequest, self._predict),
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

        def parse(data: bytes) -> ReceivedRequest:
            return received(request_class, data, self.memory, self.max_array_bytes)

        def answer(request: ReceivedRequest, context: grpc.ServicerContext) -> Any:
            context.send_initial_metadata([HEADER])
            began = time.perf_counter()
            client = unquote(context.peer().partition(":")[2])
            record = RequestRecord(method.__name__.lstrip("_"), client, size=request.size)
            code = grpc.StatusCode.OK
            try:
                request.describe(record)
                return method(request, record, processing_time_s(context.time_remaining()))
            except RequestError as error:
                code, record.problem = error.code, error.message
            except Exception as error:
                logging.getLogger(__name__).exception("%s failed", record.method)
                refusal = RequestError.internal(error)
                code, record.problem = refusal.code, refusal.message
            finally:
                request.release()
                record.seconds = time.perf_counter() - began
                record.code = code.name
                self.metrics.add(record)
            context.abort(code, record.problem)

        return grpc.unary_unary_rpc_method_handler(
            answer, parse, lambda response: response.SerializeToString()
        )

    def _predict(
        self, request: ReceivedRequest, record: RequestRecord, timeout_s: float | None
    ) -> Any:
        spec = request.spec
        signature = spec.signature_name or DEFAULT
        with self.manager.lend(spec.name, *version_choice(spec)) as (model, version):
            record.version = str(version)
            names = model.check_names(
                signature, request.message.inputs, request.message.output_filter
            )
            values = model.run(signature, request.arrays(), names, timeout_s)
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, spec.name, version, signature)
        for key, array in values.items():
            fill_typed_tensor(response.outputs[key], array)
        return response

    def _metadata(
        self, request: ReceivedRequest, record: RequestRecord, timeout_s: float | None
    ) -> Any:
        fields = request.message.metadata_field
        if not fields:
            raise RequestError.invalid(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in fields:
            if field != "signature_def":
                raise RequestError.invalid(f"Metadata field {shown(field)} is not supported")
        spec = request.spec
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.manager.lend(spec.name, *version_choice(spec)) as (model, version):
            record.version = str(version)
            _fill_spec(response.model_spec, spec.name, version, "")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in model.described.items():
                signatures.signature_def[name].CopyFrom(signature)
        packed = any_pb2.Any()
        packed.Pack(signatures)
        response.metadata["signature_def"].CopyFrom(packed)
        return response

    def _status(
        self, request: ReceivedRequest, record: RequestRecord, timeout_s: float | None
    ) -> Any:
        spec = request.spec
        if not request.message.HasField("model_spec"):
            raise RequestError.invalid("Missing ModelSpec")
        # As in TensorFlow Serving, a label chooses nothing here.
        version, _ = version_choice(spec)
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, known in self.manager.states(spec.name, version).items():
            status = response.model_version_status.add(version=number, state=known.state)
            if known.error is not None:
                status.status.error_code = known.error.code.value[0]
                status.status.error_message = known.error.message
        return response

    def _reload(
        self, request: ReceivedRequest, record: RequestRecord, timeout_s: float | None
    ) -> Any:
        if request.message.config.WhichOneof("config") != "model_config_list":
            raise RequestError.invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        try:
            self.manager.reload(models_of(request.message.config))
        except ConfigError as error:
            raise RequestError.invalid(str(error)) from None
        return model_management_pb2.ReloadConfigResponse()


class UnknownMethods(grpc.GenericRpcHandler):
    """Refuses all methods that no handler before it has, and lets the log know.

    Args:
        metrics: counts and logs the requests.
    """

    def __init__(self, metrics: Metrics):
        self.metrics = metrics

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Returns what refuses a call."""
        name = handler_call_details.method

        def refuse(requests: Any, context: grpc.ServicerContext) -> Any:
            client = unquote(context.peer().partition(":")[2])
            code, problem = grpc.StatusCode.UNIMPLEMENTED, f"{UNKNOWN_METHOD} {name}"
            self.metrics.add(RequestRecord("other", client, code=code.name, problem=problem))
            context.abort(code, UNKNOWN_METHOD)

        return grpc.stream_stream_rpc_method_handler(refuse)


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
