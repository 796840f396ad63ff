"""TensorFlow Serving's gRPC services over a `ModelManager`."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2
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
from serving.server.manager import DEFAULT, ModelManager
from serving.server.metrics import Metrics

Work = Callable[[Any, float | None], Any]
# Left for the way back of an answer or a refusal: what comes later is heard by nobody.
ANSWER_S, ANSWER_SHARE = 0.03, 0.1
HEADER = ("x-ser-server", "development server, not TensorFlow Serving")


class Services:
    """Predict, GetModelMetadata, GetModelStatus and HandleReloadConfigRequest.

    Classify, Regress and MultiInference are not served: gRPC says UNIMPLEMENTED.

    Args:
        manager: the models.
        metrics: counts what is asked.
    """

    def __init__(self, manager: ModelManager, metrics: Metrics):
        self.manager, self.metrics = manager, metrics

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Returns the handlers to add to a gRPC server."""
        predict = {
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
        services = {"PredictionService": predict, "ModelService": models}
        return [
            grpc.method_handlers_generic_handler(
                f"tensorflow.serving.{service}",
                {name: self._handler(kind, work) for name, (kind, work) in methods.items()},
            )
            for service, methods in services.items()
        ]

    def _handler(self, kind: Any, work: Work) -> grpc.RpcMethodHandler:
        """Returns the handler of a method.

        What is no such request is refused here: gRPC would call it an error of the server's.
        """

        def parsed(data: bytes) -> Any:
            try:
                return kind.FromString(data)
            except DecodeError as error:
                return RequestError.invalid(f"The request is no {kind.DESCRIPTOR.name}: {error}")

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            context.send_initial_metadata([HEADER])
            name = request.model_spec.name if hasattr(request, "model_spec") else ""
            began, code = time.perf_counter(), grpc.StatusCode.OK
            message = ""
            try:
                if isinstance(request, RequestError):
                    raise request
                return work(request, for_work(context.time_remaining()))
            except RequestError as error:
                code, message = error.code, error.message
            finally:
                seconds = time.perf_counter() - began
                self.metrics.count(name, work.__name__, code.name, seconds)
            context.abort(code, message)

        return grpc.unary_unary_rpc_method_handler(
            answer, parsed, lambda response: response.SerializeToString()
        )

    def _predict(self, request: Any, timeout_s: float | None) -> Any:
        spec = request.model_spec
        name = spec.signature_name or DEFAULT
        with self.manager.lend(spec.name, *choice_of(spec)) as (model, version):
            inputs = {key: _array(key, value) for key, value in request.inputs.items()}
            outputs = model.run(name, inputs, request.output_filter, timeout_s)
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, spec.name, version, name)
        for key, values in outputs.items():
            fill_typed_tensor(response.outputs[key], values)
        return response

    def _metadata(self, request: Any, timeout_s: float | None) -> Any:
        if list(request.metadata_field) != ["signature_def"]:
            asked = list(request.metadata_field)
            raise RequestError.invalid(
                f"Metadata field {asked[0]} is not supported"
                if asked
                else "GetModelMetadataRequest must specify at least one metadata_field"
            )
        spec = request.model_spec
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.manager.lend(spec.name, *choice_of(spec)) as (model, version):
            _fill_spec(response.model_spec, spec.name, version, "")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in model.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
        packed = any_pb2.Any()
        packed.Pack(signatures)
        response.metadata["signature_def"].CopyFrom(packed)
        return response

    def _status(self, request: Any, timeout_s: float | None) -> Any:
        spec = request.model_spec
        if not spec.name:
            raise RequestError.invalid("Missing ModelSpec")
        version, label = choice_of(spec)
        if label is not None:
            with self.manager.lend(spec.name, None, label) as (_, version):
                pass
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, found in self.manager.states(spec.name, version).items():
            status = response.model_version_status.add(version=number, state=found.state)
            if found.error is not None:
                status.status.error_code = found.error.code.value[0]
                status.status.error_message = found.error.message
        return response

    def _reload(self, request: Any, timeout_s: float | None) -> Any:
        try:
            self.manager.reload(models_of(request.config))
        except ConfigError as error:
            raise RequestError.invalid(str(error)) from None
        return model_management_pb2.ReloadConfigResponse()


def for_work(remaining_s: float | None) -> float | None:
    """Returns how many of a call's seconds its work may take: the answer has a way to go, too.

    Example:
        >>> for_work(1.0), round(for_work(0.1), 3)
        (0.97, 0.09)
    """
    if remaining_s is None:
        return None
    return remaining_s - min(ANSWER_S, ANSWER_SHARE * remaining_s)


def choice_of(spec: Any) -> tuple[int | None, str | None]:
    """Returns (version, label) that a ModelSpec asks for, None where it does not."""
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
        # `make_ndarray` copies once more, and takes long for a single number.
        found = content_of(tensor)
        return tf.make_ndarray(tensor) if found is None else found
    except (TypeError, ValueError, KeyError) as error:
        raise RequestError.invalid(f"input {name}: not a valid tensor: {error}") from None


def signature_json(signature: meta_graph_pb2.SignatureDef) -> Any:
    """Returns a SignatureDef as REST's metadata shows it."""
    from google.protobuf import json_format

    return json_format.MessageToDict(signature, preserving_proto_field_name=True)
