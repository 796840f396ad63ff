"""TensorFlow Serving's REST interface over a `ModelManager`, for demonstrations and curl."""

import base64
import binascii
import json
import math
import re
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from serving.server.errors import RequestError
from serving.server.grpc_api import HEADER, signature_json
from serving.server.manager import DEFAULT, ModelManager
from serving.server.metrics import METRICS_PATH, Metrics

SOCKET_TIMEOUT_S = 30.0
_MODEL = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>/metadata|:predict|:classify|:regress)?",
    re.IGNORECASE,
)
_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class RestServer(ThreadingHTTPServer):
    """Answers `:predict`, status, metadata and metrics.

    Args:
        address: (host, port).
        manager: the models.
        metrics: counts what is asked.
        max_body_bytes: int. Larger requests are refused unread.
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
        """Says nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    timeout = SOCKET_TIMEOUT_S
    # Head and body are two writes; the second would wait 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing; the metrics count."""

    def _answered(self, work: Any) -> None:
        began, code, name = time.perf_counter(), "OK", ""
        if not self.server.free.acquire(blocking=False):
            self.close_connection = True
            self._send(503, {"error": "Too many requests at once; ask again later."})
            return
        try:
            name, body = work()
            self._send(200, body)
        except RequestError as error:
            code = error.code.name
            self._send(error.http_status, {"error": error.message})
        finally:
            self.server.free.release()
            seconds = time.perf_counter() - began
            self.server.metrics.count(name, f"rest{work.__name__}", code, seconds)

    def _get(self) -> tuple[str, Any]:
        path = self.path.partition("?")[0]
        if path.lower() == self.server.metrics_path:
            return "", self.server.metrics.text()
        found = self._matched("GET")
        manager, name = self.server.manager, found["name"]
        version, label = _choice(found)
        what = (found["what"] or "").lower()
        if what == "/metadata":
            with manager.lend(name, version, label) as (model, number):
                signatures = {k: signature_json(v) for k, v in model.signatures.items()}
            spec = {"name": name, "signature_name": "", "version": str(number)}
            metadata = {"signature_def": {"signature_def": signatures}}
            return name, {"model_spec": spec, "metadata": metadata}
        if what:
            raise self._malformed("GET")
        if label is not None:
            with manager.lend(name, None, label) as (_, version):
                pass
        return name, {
            "model_version_status": [
                {
                    "version": str(number),
                    "state": _STATES[state.state],
                    "status": {
                        "error_code": state.error.code.name if state.error else "OK",
                        "error_message": state.error.message if state.error else "",
                    },
                }
                for number, state in manager.states(name, version).items()
            ]
        }

    def _post(self) -> tuple[str, Any]:
        found = self._matched("POST")
        body = self._body()
        what = (found["what"] or "").lower()
        if what in (":classify", ":regress"):
            raise RequestError(grpc.StatusCode.UNIMPLEMENTED, f"{what[1:]} is not served here.")
        if what != ":predict":
            raise self._malformed("POST")
        name = found["name"]
        with self.server.manager.lend(name, *_choice(found)) as (model, _):
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

    def _matched(self, method: str) -> Mapping[str, Any]:
        path = self.path.partition("?")[0]
        found = _MODEL.fullmatch(path)
        if found is None:
            if path.lower().startswith("/v1/"):
                raise self._malformed(method)
            raise RequestError.not_found("Not Found")
        return found.groupdict()

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


def _choice(found: Mapping[str, Any]) -> tuple[int | None, str | None]:
    return (int(found["version"]) if found["version"] else None), found["label"]


# === JSON and arrays ===


def inputs_of(body: Mapping[str, Any], signature: Any) -> tuple[dict[str, np.ndarray], bool]:
    """Returns (arrays by input name, whether they came by row).

    Args:
        body: with `instances`, a list with one entry per row, or `inputs`, the columns.
        signature: SignatureDef. Says names and types.

    Raises:
        RequestError: neither or both are there, or the values do not make arrays of those types.
    """
    if ("instances" in body) == ("inputs" in body):
        raise RequestError.invalid("Expected one of 'instances' and 'inputs' in the JSON object.")
    by_row = "instances" in body
    values = body["instances" if by_row else "inputs"]
    if by_row:
        values = _columns(values)
    if not isinstance(values, dict) or _is_bytes(values):
        if len(signature.inputs) != 1:
            names = ", ".join(sorted(signature.inputs))
            raise RequestError.invalid(f"Expected an object with the inputs {names}.")
        values = {next(iter(signature.inputs)): values}
    arrays = {}
    for name, value in values.items():
        if name not in signature.inputs:
            names = ", ".join(sorted(signature.inputs))
            raise RequestError.invalid(f"Unknown input {name!r}, expected {names}.")
        arrays[name] = _array(name, value, tf.dtypes.as_dtype(signature.inputs[name].dtype))
    return arrays, by_row


def _columns(rows: Any) -> Any:
    if not isinstance(rows, list) or not rows:
        raise RequestError.invalid("'instances' must be a list with one entry or more.")
    if not all(isinstance(row, dict) and not _is_bytes(row) for row in rows):
        return rows
    names = set(rows[0])
    if any(set(row) != names for row in rows):
        raise RequestError.invalid("Every instance must have the same inputs.")
    return {name: [row[name] for row in rows] for name in names}


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    try:
        if dtype == tf.string:
            return np.array(_decoded(value), dtype=object)
        array = np.array(value)
        if array.dtype.kind not in ("bif" if dtype.is_floating else "i"):
            raise ValueError(f"found values of type {array.dtype}")
        # Too large for the type becomes infinite, which the graph refuses.
        with np.errstate(over="ignore"):
            return array.astype(dtype.as_numpy_dtype)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RequestError.invalid(f"input {name}: not a tensor of {dtype.name}: {error}") from None


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(entry) for entry in value]
    if isinstance(value, str):
        return value.encode()
    if _is_bytes(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValueError(f"b64: {error}") from None
    raise ValueError("expected texts or {'b64': ...}")


def predictions_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the row format; a single output is not named."""
    plain = {name: _plain(name, values) for name, values in outputs.items()}
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    rows = zip(*plain.values(), strict=True)
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in rows]}


def columns_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the column format; a single output is not named."""
    plain = {name: _plain(name, values) for name, values in outputs.items()}
    return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}


def _plain(name: str, values: np.ndarray) -> Any:
    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(entry) for entry in value]
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode("utf-8", "replace")

    if values.dtype == object:
        return text(values.tolist())
    if values.dtype.kind == "f":
        return _finite(values.astype(np.float64).round(9).tolist())
    return values.tolist()


def _finite(value: Any) -> Any:
    """Returns the value with null for what JSON cannot say."""
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return value if math.isfinite(value) else None
