"""TensorFlow Serving's REST interface over a `ModelManager`, as a WSGI application."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

import grpc

from serving.client.tensors import size_of
from serving.server.errors import RequestError
from serving.server.grpc_api import HEADER
from serving.server.manager import ModelManager
from serving.server.metrics import METRICS_PATH, Metrics, printable
from serving.server.requests.memory import MemoryBudget
from serving.server.rest.body import VALUE_BYTES, json_of
from serving.server.rest.metadata import signatures_json, status_json
from serving.server.rest.options import RestOptions
from serving.server.rest.paths import (
    METADATA,
    SHOWN_LETTERS,
    Target,
    malformed,
    origin_form,
    target_of,
)
from serving.server.rest.tensors import columns_of, inputs_of, output_arrays, predictions_of
from serving.server.session import DEFAULT

# The methods that TensorFlow Serving reads; others are 501.
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")
CORS_HEADERS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", "Content-Type"),
]
STOPPING = "The server is stopping; ask again later."


@dataclass
class Response:
    """An answer, and what the metrics count.

    Args:
        body: str for text, None for nothing, anything else for JSON.
        status: int. Of HTTP.
        model: str. Name of the model that answered.
        code: str. Name of gRPC's code.
        problem: str. Why the request was refused, for the log.
        headers: further headers.
    """

    body: Any
    status: int = 200
    model: str = ""
    code: str = "OK"
    problem: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


class RestApp:
    """Answers `:predict`, status, metadata and metrics.

    Args:
        manager: the models.
        metrics: counts the requests.
        options: limits.
        memory: of all requests.
        max_predictions: int. Predictions at once; others are refused.
        metrics_path: str or None. Path of the metrics.
    """

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        options: RestOptions,
        memory: MemoryBudget,
        *,
        max_predictions: int,
        metrics_path: str | None = METRICS_PATH,
    ):
        self.manager, self.metrics, self.options = manager, metrics, options
        self._memory = memory
        self.stopping = False
        self._metrics_path = metrics_path.lower() if metrics_path else None
        self._free = threading.BoundedSemaphore(max_predictions)

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answers one request, as WSGI asks for it."""
        began, method = time.perf_counter(), environ["REQUEST_METHOD"]
        path = origin_form(environ["REQUEST_URI"])
        try:
            response = self._response(method, path, environ)
        except RequestError as error:
            shown = printable(path, SHOWN_LETTERS)
            response = refusal(error, f"{shown}: {error.message}")
        data, headers = encoded(response)
        if self.options.cors:
            headers += CORS_HEADERS
        self.metrics.count(
            response.model,
            f"rest_{method.lower()}" if method in METHODS else "rest_other",
            response.code,
            time.perf_counter() - began,
            f"{environ['REMOTE_ADDR']}:{environ['REMOTE_PORT']}",
            response.problem,
        )
        start_response(f"{response.status} {responses.get(response.status, 'Refused')}", headers)
        return [] if method == "HEAD" else [data]

    def _response(self, method: str, path: str, environ: Mapping[str, Any]) -> Response:
        if self.stopping:
            raise RequestError.unavailable(STOPPING)
        if method not in METHODS:
            shown = printable(method, SHOWN_LETTERS)
            raise RequestError(grpc.StatusCode.UNIMPLEMENTED, f"{shown} is not served here.")
        if self._metrics_path and path.partition("?")[0].lower() == self._metrics_path:
            return self._metrics(path)
        if method == "OPTIONS" and path[:4].lower() == "/v1/":
            return _preflight(environ.get("HTTP_ORIGIN", ""))
        target = target_of(method, path)
        if method == "GET":
            show = self._metadata if target.action == METADATA else self._status
            return Response(show(target), model=target.name)
        if target.action == ":predict":
            return self._prediction(target, environ)
        if target.action in (":classify", ":regress"):
            raise RequestError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{target.action[1:]} is not served here: it takes tf.Example messages, and the "
                "models take waveforms. Use :predict.",
            )
        raise malformed(method, path)

    def _metrics(self, path: str) -> Response:
        if "?" in path:
            shown = printable(path, SHOWN_LETTERS)
            message = f"Unexpected path: {shown}. Should be {self._metrics_path}"
            return Response(message, 400, code="INVALID_ARGUMENT", problem=message)
        return Response(self.metrics.text())

    def _metadata(self, target: Target) -> dict[str, Any]:
        with self.manager.lend(target.name, target.version, target.label) as (model, number):
            signatures = signatures_json(model.described)
        spec = {"name": target.name, "signature_name": "", "version": str(number)}
        return {
            "model_spec": spec,
            "metadata": {"signature_def": {"signature_def": signatures}},
        }

    def _status(self, target: Target) -> dict[str, Any]:
        # As in TensorFlow Serving, the status of a label is that of all versions.
        return status_json(self.manager.states(target.name, target.version))

    def _prediction(self, target: Target, environ: Mapping[str, Any]) -> Response:
        if not self._free.acquire(blocking=False):
            raise RequestError.unavailable("Too many requests at once; ask again later.")
        try:
            return Response(self._predicted(target, environ), model=target.name)
        finally:
            self._free.release()

    def _predicted(self, target: Target, environ: Mapping[str, Any]) -> bytes:
        """Returns the JSON of an answer."""
        wait_s = self.options.prediction_s
        body_of_request = json_of(
            environ["wsgi.input"],
            environ.get("HTTP_CONTENT_ENCODING", ""),
            max_bytes=self.options.max_body_bytes,
            budget=self._memory,
            wait_s=wait_s,
        )
        with (
            body_of_request as (body, share),
            self.manager.lend(target.name, target.version, target.label) as (model, _),
        ):
            signature_name = body.get("signature_name", DEFAULT)
            if not isinstance(signature_name, str):
                raise RequestError.invalid("'signature_name' key must be a string value.")
            if signature_name and signature_name not in model.signatures:
                shown = printable(signature_name, SHOWN_LETTERS)
                raise RequestError.invalid(
                    f'Serving signature name: "{shown}" not found in signature def'
                )
            inputs, by_row = inputs_of(body, model.signature(signature_name))
            # The arrays are a small part of what the JSON took.
            body.clear()
            share.resize(min(share.size, sum(map(size_of, inputs.values()))))
            outputs = output_arrays(model.run(signature_name, inputs, timeout_s=wait_s))
            # Nobody may wait for memory and hold some that others wait for.
            inputs.clear()
            share.release()
        size = VALUE_BYTES * sum(values.size for values in outputs.values())
        with self._memory.wait_for(size, wait_s):
            answer = predictions_of(outputs) if by_row else columns_of(outputs)
            return json.dumps(answer).encode()


def _preflight(origin: str) -> Response:
    """Answers a browser that asks what it may send."""
    if re.match("https?://", origin):
        return Response(None)
    raise RequestError.failed_precondition("Origin header is missing in CORS preflight")


def refusal(error: RequestError, problem: str) -> Response:
    """Returns the answer to a refused request."""
    return Response(
        {"error": error.message}, error.http_status, code=error.code.name, problem=problem
    )


def encoded(response: Response) -> tuple[bytes, list[tuple[str, str]]]:
    """Returns (the body of an answer, its headers)."""
    body = response.body
    text = isinstance(body, str)
    if body is None:
        data = b""
    elif isinstance(body, bytes):
        data = body
    else:
        data = body.encode() if text else json.dumps(body).encode()
    kind = "text/plain" if text else "application/json"
    return data, [HEADER, ("Content-Type", kind), ("Content-Length", str(len(data)))]
