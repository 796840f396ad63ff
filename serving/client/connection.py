"""The calls of TensorFlow Serving's protocol for one model: arrays in, arrays out.

Knows TLS, retries, deadlines and errors, but nothing of audio.
"""

import json
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np

from serving.client import messages
from serving.client.message_classes import parsed
from serving.client.tensors import arrays_of, fill_tensor

MAX_MESSAGE_BYTES = 64 * 2**20
# No call changes anything on the server, so a call without an answer may be repeated.
_RETRY = {
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService"},
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


# What a client is told if there was no connection, and how long one look at the port may take.
NOT_CONNECTED = {"UNAVAILABLE", "UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED"}
PROBE_S = 2.0
# A frame of HTTP/2 without content, of the kind with which a client begins.
EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


class ServerError(Exception):
    """The server refused a call or did not answer. `code` is gRPC's, such as `"NOT_FOUND"`."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code


class ModelConnection:
    """A gRPC connection to one model of a server; a context that closes it.

    Args:
        endpoint: str. `host:port` of the server's gRPC.
        model: str. Name of the model on the server.
        version: int or None. None asks the newest.
        timeout_s: float. Deadline of each call, retries included.
        root_certificate: path of a PEM file, for TLS; None connects without encryption.
        certificate, key: paths of PEM files that identify the client, for mutual TLS.
    """

    def __init__(
        self,
        endpoint: str,
        model: str,
        *,
        version: int | None = None,
        timeout_s: float = 30.0,
        root_certificate: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
    ):
        self.endpoint, self.model, self.version = endpoint, model, version
        self.timeout_s = timeout_s
        self.channel = _open_channel(endpoint, root_certificate, certificate, key)
        self._encrypts, self._identifies = root_certificate is not None, certificate is not None
        self._predict = self._method(messages.PREDICT, messages.PredictResponse)
        self._status = self._method(messages.GET_MODEL_STATUS, messages.GetModelStatusResponse)
        self._metadata = self._method(
            messages.GET_MODEL_METADATA, messages.GetModelMetadataResponse
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.channel.close()

    def signatures(self) -> frozenset[str]:
        """Returns the names of the model's signatures.

        Raises:
            ServerError: no answer, or a refusal.
        """
        request = messages.GetModelMetadataRequest()
        self._fill_model_spec(request.model_spec)
        request.metadata_field.append("signature_def")
        packed = self._call(self._metadata, request).metadata["signature_def"].value
        names = messages.SignatureDefMap.FromString(packed).signature_def
        # Servers list the operation that initialises a model beside what can be asked.
        return frozenset(name for name in names if not name.startswith("__"))

    def ask(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        outputs: Iterable[str] = (),
    ) -> tuple[dict[str, np.ndarray], int]:
        """Returns (outputs of a signature by name, the version), see `SpeechClient.ask`."""
        response = self._call(self._predict, self.request_of(inputs, signature, outputs))
        try:
            arrays = arrays_of(response.outputs)
        except (TypeError, ValueError) as error:
            raise ServerError(
                f"{self.endpoint}, model {self.model}: the answer is no valid one: {error}",
                "DATA_LOSS",
            ) from None
        return arrays, response.model_spec.version.value

    def request_of(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        outputs: Iterable[str] = (),
    ) -> Any:
        """Returns the PredictRequest that `ask` sends."""
        request = messages.PredictRequest()
        self._fill_model_spec(request.model_spec)
        request.model_spec.signature_name = signature
        request.output_filter.extend(outputs)
        for name, values in inputs.items():
            fill_tensor(request.inputs[name], values)
        return request

    def wait_until_available(self, timeout_s: float = 60.0) -> int:
        """Waits until the model is served; returns its newest available version.

        Raises:
            ServerError: it is not served in time.
        """
        deadline = time.monotonic() + timeout_s
        request = messages.GetModelStatusRequest()
        self._fill_model_spec(request.model_spec)
        while True:
            try:
                statuses = self._call(self._status, request).model_version_status
                if ready := [v.version for v in statuses if v.state == messages.AVAILABLE]:
                    return max(ready)
                error = ServerError(f"{self.endpoint}: {self.model} has no version ready.", "NONE")
            except ServerError as refusal:
                error = refusal
            if time.monotonic() > deadline:
                raise error
            time.sleep(0.2)

    def _fill_model_spec(self, spec: Any) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _method(self, path: str, response: Any) -> Any:
        return self.channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda data: parsed(response, data),
        )

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout_s)
        except grpc.RpcError as error:
            # A server may say anything: what it says is one line.
            code, text = error.code().name, " ".join((error.details() or "").split())
            if code in NOT_CONNECTED:
                advice = advice_on(self.endpoint, self._encrypts, self._identifies)
                text = f"{text.rstrip('.')}. {advice}" if advice else text
            raise ServerError(
                f"{self.endpoint}, model {self.model}: {code}: {text}", code
            ) from None


def advice_on(endpoint: str, encrypts: bool, identifies: bool) -> str:
    """Returns what to do about a server that did not answer, "" if its port says nothing of it.

    The port is looked at with plain sockets: gRPC's own words for a server that speaks TLS, for one
    that does not and for an HTTP server are all about closed sockets.

    Args:
        endpoint: `host:port`.
        encrypts: whether the client has a root certificate.
        identifies: whether it has a certificate of its own.
    """
    host, _, port = endpoint.rpartition(":")
    address = (host.strip("[]"), int(port) if port.isdecimal() else 0)
    try:
        reply = _reply_in_plain_text(address)
    except OSError as error:
        reason = error.strerror or str(error)
        return (
            f"Nothing answers at {endpoint} ({reason}). Start it with ser serve, and wait until it "
            "says where it listens."
        )
    if reply.startswith(b"HTTP/1"):
        return (
            f"{endpoint} is the port of REST or of another HTTP server; give that of gRPC, which "
            "is 8500 unless ser serve got another --port."
        )
    tls = _tls_of(address)
    if not tls:
        return "The server does not speak TLS: leave --root-certificate out." if encrypts else ""
    if not encrypts:
        own = ", and --certificate with --key, which it asks for" if tls == "mutual" else ""
        return f"The server speaks TLS: give --root-certificate{own}."
    if tls == "mutual" and not identifies:
        return "The server asks clients for a certificate: give --certificate and --key."
    return (
        "One side does not accept the certificate of the other: --root-certificate must be of the "
        f"authority that signed the server's, the server's must name {address[0]}, and "
        "--certificate must be of an authority that the server trusts."
    )


def _reply_in_plain_text(address: tuple[str, int]) -> bytes:
    """Returns how a port begins its answer to HTTP, b"" if it ends the connection.

    Raises:
        OSError: there is no connection.
    """
    with socket.create_connection(address, PROBE_S) as connection:
        connection.settimeout(PROBE_S)
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(16)
        except OSError:
            return b""


def _tls_of(address: tuple[str, int]) -> str:
    """Returns how a port speaks TLS: "mutual" with known clients, "server" with all, or ""."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent or believed here.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    began = False
    try:
        with (
            socket.create_connection(address, PROBE_S) as plain,
            context.wrap_socket(plain, server_hostname=address[0]) as connection,
        ):
            began = True
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EMPTY_SETTINGS)
            return "server" if connection.recv(1) else "mutual"
    except ssl.SSLError as error:
        # The refusal of a client without a certificate comes after the handshake.
        return "mutual" if began or "CERTIFICATE_REQUIRED" in str(error) else ""
    except OSError:
        return "mutual" if began else ""


def _open_channel(
    endpoint: str,
    root_certificate: str | Path | None,
    certificate: str | Path | None,
    key: str | Path | None,
) -> Any:
    """Returns a gRPC channel that retries; the arguments are those of `ModelConnection`."""
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.service_config", json.dumps(_RETRY)),
    ]
    if root_certificate is None:
        return grpc.insecure_channel(endpoint, options)
    key_and_certificate = [Path(path).read_bytes() if path else None for path in (key, certificate)]
    credentials = grpc.ssl_channel_credentials(
        Path(root_certificate).read_bytes(), *key_and_certificate
    )
    return grpc.secure_channel(endpoint, credentials, options)
