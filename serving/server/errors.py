"""A refused request: gRPC's code and a message, the same for gRPC and REST."""

from pathlib import Path

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError

from ser_keras.errors import SchemaError
from serving.server.requests.text import printable

# gRPC sends no more than 8 KiB of them by default, and clients show them in terminals.
MAX_MESSAGE = 1000
_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class RequestError(Exception):
    """The reason why a request gets no answer.

    Args:
        code: grpc.StatusCode, or its number.
        message: str. For the client; kept printable and not too long.
    """

    def __init__(self, code: grpc.StatusCode | int, message: str):
        self.code = _CODES[code] if isinstance(code, int) else code
        self.message = printable(message, MAX_MESSAGE)
        super().__init__(self.message)

    @property
    def http_status(self) -> int:
        """The HTTP status of the error in REST."""
        return _HTTP.get(self.code, 500)

    @classmethod
    def invalid(cls, message: str) -> "RequestError":
        """The request can never be answered."""
        return cls(grpc.StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def failed_precondition(cls, message: str) -> "RequestError":
        """The request does not fit the model that is served."""
        return cls(grpc.StatusCode.FAILED_PRECONDITION, message)

    @classmethod
    def not_found(cls, message: str) -> "RequestError":
        """There is no such model or version."""
        return cls(grpc.StatusCode.NOT_FOUND, message)

    @classmethod
    def unavailable(cls, message: str) -> "RequestError":
        """Not now; the same request may be answered later."""
        return cls(grpc.StatusCode.UNAVAILABLE, message)

    @classmethod
    def internal(cls, error: Exception) -> "RequestError":
        """Returns what a client is told of a fault of the server: its kind, not what it holds."""
        if isinstance(error, MemoryError):
            return cls(grpc.StatusCode.RESOURCE_EXHAUSTED, "The server has no memory for this.")
        kind = type(error).__name__
        return cls(grpc.StatusCode.INTERNAL, f"The server failed ({kind}); its log says more.")

    @classmethod
    def while_loading(cls, folder: Path, error: Exception) -> "RequestError":
        """Returns the reason why a version cannot be loaded, with TensorFlow Serving's code.

        Args:
            folder: Path of the version.
            error: whatever loading it raised. Its first line is kept; the rest lists the graph.
        """
        if isinstance(error, cls):
            return cls(error.code, _naming(folder, error.message))
        code, text = grpc.StatusCode.NOT_FOUND, str(error)
        if isinstance(error, tf.errors.OpError):
            code, text = _CODES[error.error_code], error.message
        elif isinstance(error, DecodeError | SchemaError):
            code = grpc.StatusCode.DATA_LOSS
        elif isinstance(error, MemoryError):
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
        return cls(code, _naming(folder, text.strip().split("\n")[0] or type(error).__name__))


def _naming(folder: Path, text: str) -> str:
    """Returns a sentence that names the folder, unless it does so already."""
    return text if str(folder) in text else f"{folder}: {text}"
