"""Sends a case's request over HTTP and returns the answer as plain values."""

import contextlib
import gzip
import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, BinaryIO

TIMEOUT_S = 60.0
# How long a server may be silent on a connection that it leaves open in the midst of a request.
SILENCE_S = 3.0
PREDICT = b"POST /v1/models/protocol:predict HTTP/1.1\r\nHost: h"
STATUS = b"GET /v1/models/protocol HTTP/1.1\r\nHost: h\r\n\r\n"
# Is answered with 404, after everything that came before it.
LAST = b"GET /v1/models/last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
LAST_STATUS = 404


def ask(port: int, request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `status`, `type`, `headers`, `text`, and what the body holds.

    Args:
        port: of REST on this machine.
        request: `http`, method and path, with `headers` and a body: `body`, `body_hex`, or `deep`
            for that many lists in each other.
    """
    method, path = request["http"].split(" ", 1)
    connection = http.client.HTTPConnection("localhost", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, _body(request), request.get("headers", {}))
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        headers = {name.lower() for name in response.headers}
    except (OSError, http.client.HTTPException) as error:
        return {"status": None, "error": f"no answer: {type(error).__name__}"}
    finally:
        connection.close()
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    answer: dict[str, Any] = {
        "status": response.status,
        "type": kind,
        "text": text,
        "headers": headers,
    }
    try:
        answer["json"] = json.loads(text)
    except ValueError:
        return answer
    if isinstance(answer["json"], dict) and "error" in answer["json"]:
        answer["error"] = answer["json"]["error"]
    return answer


def _body(request: Mapping[str, Any]) -> bytes | None:
    if "body_hex" in request:
        return bytes.fromhex(request["body_hex"])
    if "deep" in request:
        depth = request["deep"]
        return b'{"instances": ' + b"[" * depth + b"1" + b"]" * depth + b"}"
    return request["body"].encode() if "body" in request else None


def converse(port: int, request: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Returns the `statuses` of all answers to bytes, and whether the connection was `closed`.

    When the expected number of answers has come and the connection is still open, one more request
    is sent. Whatever was answered before it came from the bytes alone.

    Args:
        port: of REST on this machine.
        request: the bytes: `raw`, `hex` or `gzip`, which is a body; perhaps in `pieces` of so many
            bytes; `then` is sent after the first answer; `half_close` ends the sending side.
        count: int. How many answers are expected.
    """
    data, statuses = _bytes(request), []
    with socket.create_connection(("localhost", port), TIMEOUT_S) as connection:
        size = request.get("pieces", len(data))
        answers = connection.makefile("rb")
        try:
            for start in range(0, len(data), size):
                connection.sendall(data[start : start + size])
            if request.get("half_close"):
                connection.shutdown(socket.SHUT_WR)
            if not count or request.get("half_close"):
                connection.settimeout(SILENCE_S)
            while count > len(statuses) and (status := _read_answer(answers)):
                statuses.append(status)
                if status == 100:
                    connection.sendall(request["then"].encode())
            connection.settimeout(SILENCE_S)
            more, closed = _last_answers(connection, answers, bool(request.get("half_close")))
            return {"statuses": statuses + more, "closed": closed}
        except TimeoutError:
            return {"statuses": statuses, "closed": False}
        except ConnectionError:
            return {"statuses": statuses, "closed": True}


def _last_answers(
    connection: socket.socket, answers: BinaryIO, ended: bool
) -> tuple[list[int], bool]:
    """Returns (statuses of further answers, whether the server has closed the connection).

    Args:
        connection: to the server.
        answers: the connection as a file.
        ended: bool. Whether the sending side is closed, so that nothing more can be asked.
    """
    if not ended and not _is_closed(connection):
        with contextlib.suppress(ConnectionError):
            connection.sendall(LAST)
    statuses = []
    with contextlib.suppress(ConnectionError):
        while status := _read_answer(answers):
            statuses.append(status)
    if not ended and statuses and statuses[-1] == LAST_STATUS:
        return statuses[:-1], False
    return statuses, True


def _bytes(request: Mapping[str, Any]) -> bytes:
    if "hex" in request:
        return bytes.fromhex(request["hex"])
    if "gzip" in request:
        body = gzip.compress(request["gzip"].encode())
        head = f"\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        return PREDICT + head.encode() + body
    data = request["raw"].encode("latin-1")
    data = data.replace(b"MEGABYTE", b"x" * 2**20).replace(b"BODY", b"%d" % len(STATUS))
    if data.startswith(b"P\r"):
        data = PREDICT + data[1:]
    if data.startswith(b"GG"):
        data = STATUS + data[1:]
    return data[:-1] + STATUS if data.endswith(b"G") else data


def _is_closed(connection: socket.socket) -> bool:
    """Tells whether the server ends the connection at once; a connection that stays is silent."""
    before = connection.gettimeout()
    connection.settimeout(0.3)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    finally:
        connection.settimeout(before)


def _read_answer(answers: BinaryIO) -> int | None:
    """Returns the status of the next answer, -1 without one; None at the end of the connection."""
    line = answers.readline()
    if not line:
        return None
    if not line.startswith(b"HTTP/"):
        answers.read()
        return -1
    status, headers = int(line.split()[1]), http.client.parse_headers(answers)
    if "Content-Length" in headers:
        answers.read(int(headers["Content-Length"]))
    elif status >= 200:
        answers.read()
    return status
