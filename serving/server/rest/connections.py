"""Connections of clients: how slow they may be, and how they end."""

import json
import socket
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error, RequestEntityTooLarge
from waitress.wasyncore import dispatcher

from serving.server.grpc_api import HEADER
from serving.server.rest.framing import StrictParser

# How long a client may go on sending after its answer, which it would not receive if the
# connection were closed at once.
LINGER_S = 2.0
# A body up to this size is in memory, a larger one on disk.
SMALL_BODY_BYTES = 2**19
_CODES = {
    408: "DEADLINE_EXCEEDED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class RequestTimeoutError(Error):
    """The request did not arrive in time."""

    code = 408
    reason = "Request Timeout"


class TooManyBodiesError(Error):
    """Other requests take the disk that bodies may have."""

    code = 503
    reason = "Service Unavailable"


class LastTask(WSGITask):
    """An answer, the last of its connection if the server is stopping."""

    def build_response_header(self) -> bytes:
        """Returns the header of the answer."""
        if self.channel.server.application.stopping:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class RefusalTask(ErrorTask):
    """The answer to a request that is not read to its end; the connection closes after it."""

    def execute(self) -> None:
        """Sends the answer and counts it."""
        error, channel = self.request.error, self.channel
        text = error.body
        if isinstance(error, RequestEntityTooLarge):
            limit = channel.server.application.options.max_body_bytes
            text = f"The body is larger than {limit} bytes. Send less audio, or use gRPC."
        data = json.dumps({"error": text}).encode()
        self.status, self.content_length = f"{error.code} {error.reason}", len(data)
        self.response_headers += [HEADER, ("Content-Type", "application/json")]
        self.set_close_on_finish()
        channel.server.application.metrics.count(
            "",
            "rest_unread",
            _CODES.get(error.code, "INVALID_ARGUMENT"),
            max(0.0, time.time() - self.start_time),
            "{}:{}".format(*channel.addr),
            text,
        )
        self.write(data)


class Connection(HTTPChannel):
    """A client's connection, whose requests have to arrive in time."""

    task_class = LastTask
    error_task_class = RefusalTask
    parser_class = StrictParser
    # Of waitress, which has no types.
    request: Any
    requests: list[Any]
    close_when_flushed: bool
    _request_began, _is_counted = 0.0, False
    _lingers_until: float | None = None

    def received(self, data: bytes) -> bool:
        """Takes data for the request that is arriving."""
        if self._lingers_until is not None:
            return False
        before = self.request
        taken: bool = super().received(data)
        if self.request is not before:
            self._request_began, self._is_counted = time.time(), False
        if self.request is not None and self.request.headers_finished and not self._is_counted:
            self._is_counted = True
            large = self.expected_bytes(self.request) > SMALL_BODY_BYTES
            if large and self.server.expected_bytes > self.server.application.options.bodies_bytes:
                self.refuse(TooManyBodiesError("Too many large requests at once; ask again later."))
        return taken

    def expected_bytes(self, request: Any) -> int:
        """Returns the bytes of a body, received or not, at most."""
        if request.chunked:
            return int(self.server.application.options.max_body_bytes)
        return int(request.content_length)

    def refuse(self, error: Error) -> None:
        """Answers the request that is arriving with an error, and closes after that."""
        with self.requests_lock:
            request, self.request = self.request, None
            if request is not None:
                request.error, request.completed = error, True
                self.requests.append(request)
                if len(self.requests) == 1:
                    self.server.add_task(self)

    def handle_write(self) -> None:
        """Sends what is ready; after the last answer it waits until the client has read it."""
        if not self.close_when_flushed or self.will_close:
            super().handle_write()
            return
        _, failed = self._flush_exception(self._flush_some)
        if failed:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            self.close_when_flushed = False
            self.linger()

    def linger(self) -> None:
        """Sends nothing more, and closes once the client does, or after a while."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True
        self._lingers_until = time.time() + LINGER_S

    def check(self, now: float) -> None:
        """Ends the connection if its client is too slow."""
        if self._lingers_until is not None:
            self.will_close = self.will_close or now > self._lingers_until
        elif self.requests:
            self._request_began = now
        elif self.request is not None and (problem := self._delay(self.request, now)):
            self.refuse(RequestTimeoutError(problem))

    def _delay(self, request: Any, now: float) -> str:
        """Returns what of a request is late, nothing if it is in time."""
        options, took_s = self.server.application.options, now - self._request_began
        if not request.headers_finished:
            if took_s <= options.header_s:
                return ""
            return f"The header took longer than {options.header_s:g} s."
        if took_s > options.body_s:
            return f"The request took longer than {options.body_s:g} s."
        least = options.min_bytes_per_s * (took_s - options.header_s)
        if request.body_bytes_received >= least:
            return ""
        return f"The body came with less than {options.min_bytes_per_s:g} bytes per second."

    @property
    def is_idle(self) -> bool:
        """Whether no request is arriving or being answered."""
        return self.request is None and not self.requests and not self.total_outbufs_len


class Listener(TcpWSGIServer):
    """Accepts connections and looks after them."""

    channel_class = Connection

    def maintenance(self, now: float) -> None:
        """Ends connections that are idle or too slow; called once a second."""
        super().maintenance(now)
        connections = list(self.active_channels.values())
        for connection in connections:
            connection.check(now)
        if self.in_connection_overflow:
            idle = sorted((c for c in connections if c.is_idle), key=lambda c: c.last_activity)
            for connection in idle[: len(idle) // 4 + 1]:
                connection.will_close = True

    @property
    def expected_bytes(self) -> int:
        """Bytes of all bodies that are arriving or being answered."""
        return sum(
            connection.expected_bytes(request)
            for connection in list(self.active_channels.values())
            for request in (*connection.requests, connection.request)
            if request is not None
        )

    @property
    def is_busy(self) -> bool:
        """Whether a request is arriving or being answered."""
        return not all(connection.is_idle for connection in list(self.active_channels.values()))

    def stop_listening(self) -> None:
        """Accepts the clients that have connected already, and no others."""
        if self.socket is None:
            return
        accepted = -1
        while accepted < len(self.active_channels):
            accepted = len(self.active_channels)
            self.handle_accept()
        dispatcher.close(self)
