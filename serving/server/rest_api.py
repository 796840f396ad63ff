"""TensorFlow Serving's REST interface over a `ModelManager`, for demonstrations and curl."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

from serving.server.errors import RequestError
from serving.server.grpc_api import HEADER, signature_json
from serving.server.manager import ModelManager
from serving.server.metrics import METRICS_PATH, Metrics
from serving.server.rest_json import columns_of, inputs_of, predictions_of
from serving.server.session import DEFAULT

SOCKET_TIMEOUT_S = 30.0
_MODEL_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<action>/metadata|:predict|:classify|:regress)?",
    re.IGNORECASE,
)
_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class RestServer(ThreadingHTTPServer):
    """Answers `:predict`, status, metadata and metrics.

    Args:
        address: (host, port).
        manager: the models.
        metrics: counts the requests.
        max_body_bytes: int. Larger requests are refused before they are read.
        max_requests: int. Requests answered at once; others are refused.
        timeout_s: float. Limit of one prediction.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        manager: ModelManager,
        metrics: Metrics,
        *,
        max_body_bytes: int,
        max_requests: int,
        metrics_path: str | None = METRICS_PATH,
        timeout_s: float = 30.0,
    ):
        self.manager, self.metrics = manager, metrics
        self.metrics_path = metrics_path.lower() if metrics_path else None
        self.max_body_bytes, self.timeout_s = max_body_bytes, timeout_s
        self.free = threading.BoundedSemaphore(max_requests)
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that have disconnected."""


class _Handler(BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    timeout = SOCKET_TIMEOUT_S
    # Head and body are two writes; the second would wait 40 ms for an acknowledgement of the first.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing; the metrics count the requests."""

    def _answer(self, method: Callable[[], tuple[str, Any]]) -> None:
        """Sends what a method returns as (model, body); the metrics call it by its name."""
        began, code, name, problem = time.perf_counter(), "OK", "", ""
        client = "{}:{}".format(*self.client_address)
        label = f"rest{method.__name__}"
        if not self.server.free.acquire(blocking=False):
            self.close_connection = True
            problem = "Too many requests at once; ask again later."
            self._send(503, {"error": problem})
            self.server.metrics.count("", label, "UNAVAILABLE", 0.0, client, problem)
            return
        try:
            name, body = method()
            self._send(200, body)
        except RequestError as error:
            code, problem = error.code.name, f"{self.path}: {error.message}"
            self._send(error.http_status, {"error": error.message})
        finally:
            self.server.free.release()
            seconds = time.perf_counter() - began
            self.server.metrics.count(name, label, code, seconds, client, problem)

    def _get(self) -> tuple[str, Any]:
        path = self.path.partition("?")[0]
        if path.lower() == self.server.metrics_path:
            return "", self.server.metrics.text()
        parts = self._path_parts("GET")
        name, action = parts["name"], (parts["action"] or "").lower()
        version, label = _version_choice(parts)
        if action == "/metadata":
            return name, self._metadata(name, version, label)
        if action:
            raise self._malformed("GET")
        return name, self._status(name, version, label)

    def _metadata(self, name: str, version: int | None, label: str | None) -> dict[str, Any]:
        with self.server.manager.lend(name, version, label) as (model, number):
            signatures = {k: signature_json(v) for k, v in model.signatures.items()}
        spec = {"name": name, "signature_name": "", "version": str(number)}
        metadata = {"signature_def": {"signature_def": signatures}}
        return {"model_spec": spec, "metadata": metadata}

    def _status(self, name: str, version: int | None, label: str | None) -> dict[str, Any]:
        manager = self.server.manager
        if label is not None:
            with manager.lend(name, None, label) as (_, version):
                pass
        return {
            "model_version_status": [
                {
                    "version": str(number),
                    "state": _STATES[known.state],
                    "status": {
                        "error_code": known.error.code.name if known.error else "OK",
                        "error_message": known.error.message if known.error else "",
                    },
                }
                for number, known in manager.states(name, version).items()
            ]
        }

    def _post(self) -> tuple[str, Any]:
        parts = self._path_parts("POST")
        body = self._body()
        name, action = parts["name"], (parts["action"] or "").lower()
        if action in (":classify", ":regress"):
            raise RequestError(grpc.StatusCode.UNIMPLEMENTED, f"{action[1:]} is not served here.")
        if action != ":predict":
            raise self._malformed("POST")
        with self.server.manager.lend(name, *_version_choice(parts)) as (model, _):
            signature_name = body.get("signature_name", DEFAULT)
            if not isinstance(signature_name, str):
                raise RequestError.invalid("'signature_name' key must be a string value.")
            if signature_name and signature_name not in model.signatures:
                raise RequestError.invalid(
                    f'Serving signature name: "{signature_name}" not found in signature def'
                )
            signature = model.signature(signature_name)
            inputs, by_row = inputs_of(body, signature)
            outputs = model.run(signature_name, inputs, timeout_s=self.server.timeout_s)
        return name, predictions_of(outputs) if by_row else columns_of(outputs)

    def _path_parts(self, method: str) -> Mapping[str, Any]:
        """Returns name, version, label and action in the request's path, None for those missing."""
        path = self.path.partition("?")[0]
        match = _MODEL_PATH.fullmatch(path)
        if match is None:
            if path.lower().startswith("/v1/"):
                raise self._malformed(method)
            raise RequestError.not_found("Not Found")
        return match.groupdict()

    def _malformed(self, method: str) -> RequestError:
        return RequestError.invalid(f"Malformed request: {method} {self.path}")

    def _body(self) -> dict[str, Any]:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= self.server.max_body_bytes:
            self.close_connection = True
            raise RequestError.invalid(
                f"Content-Length is {self.headers.get('Content-Length')!r}, expected 0 to "
                f"{self.server.max_body_bytes}."
            )
        try:
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError) as error:
            raise RequestError.invalid(f"JSON Parse error: {error}") from None
        if not isinstance(body, dict):
            raise RequestError.invalid("JSON Value: not an object. Expected one with 'instances'.")
        return body

    def _send(self, status: int, body: Any) -> None:
        text = isinstance(body, str)
        data = body.encode() if text else json.dumps(body).encode()
        self.send_response(status)
        self.send_header(*HEADER)
        self.send_header("Content-Type", "text/plain" if text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _version_choice(parts: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Returns (version, label) of a path, None for what it does not name."""
    return (int(parts["version"]) if parts["version"] else None), parts["label"]
