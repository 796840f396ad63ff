"""Requests byte by byte, and the answers until the server closes the connection."""

import json
import socket
from http.client import HTTPResponse
from typing import NamedTuple

PREDICT = "/v1/models/none:predict"


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def error(self):
        return json.loads(self.body)["error"]


def request(*lines, body=b"", start=f"POST {PREDICT} HTTP/1.1", host="Host: here"):
    """Returns the bytes of a request."""
    head = "\r\n".join(line for line in (start, host, *lines) if line)
    return head.encode("latin-1") + b"\r\n\r\n" + body


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer_on(connection):
    """Returns the next answer on a connection."""
    response = HTTPResponse(connection)
    response.begin()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


def answers(port, data):
    """Returns all answers to bytes, after which the server has to close the connection itself."""
    with connected(port) as connection:
        connection.sendall(data)
        received = b""
        while block := connection.recv(2**16):
            received += block
    return _split(received)


def _split(received):
    responses = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        responses.append(Answer(int(first.split()[1]), headers, rest[:length]))
        received = rest[length:]
    return responses
