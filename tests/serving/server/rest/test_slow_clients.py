"""Clients that send slowly or nothing keep nobody else waiting, and are sent away."""

import contextlib
import threading
import time

import pytest

from tests.serving.server.rest.conftest import rest_server
from tests.serving.server.rest.raw_http import answer_on, answers, connected, request

STATUS = request("Connection: close", start="GET /v1/models/none HTTP/1.1")
BEGUN = request("Content-Length: 1000000", body=b"{")


def drip(connection, stopped, data=b" "):
    """Sends a byte ten times a second until the server has had enough."""
    with contextlib.suppress(OSError):
        while not stopped.wait(0.1):
            connection.sendall(data)


@pytest.mark.parametrize(
    ("limits", "start", "problem"),
    [
        ({"header_s": 0.5}, b"GET /v1/models/none HTTP/1.1\r\nX: ", "The header took longer"),
        (
            {"header_s": 0.3, "min_bytes_per_s": 1000.0},
            BEGUN,
            "The body came with less than 1000 bytes per second.",
        ),
        (
            {"header_s": 0.3, "min_bytes_per_s": 1.0, "body_s": 0.8},
            BEGUN,
            "The request took longer than 0.8 s.",
        ),
    ],
    ids=["header", "rate", "deadline"],
)
def test_a_slow_request_ends_in_408(limits, start, problem):
    stopped = threading.Event()
    with rest_server(**limits) as server, connected(server.port) as connection:
        connection.sendall(start)
        thread = threading.Thread(target=drip, args=(connection, stopped))
        thread.start()
        answer = answer_on(connection)
        stopped.set()
        thread.join()
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert answer.error.startswith(problem)


def test_a_body_that_is_slow_at_first_is_in_time_later():
    with (
        rest_server(header_s=3.0, min_bytes_per_s=1e9) as server,
        connected(server.port) as connection,
    ):
        connection.sendall(request("Content-Length: 2", body=b"{"))
        time.sleep(1.2)
        connection.sendall(b"}")
        assert answer_on(connection).status == 404


def test_slow_clients_keep_nobody_else_waiting():
    with rest_server() as server, contextlib.ExitStack() as opened:
        for _ in range(200):
            opened.enter_context(connected(server.port)).sendall(BEGUN)
        (answer,) = answers(server.port, STATUS)
    assert answer.status == 404


def test_an_idle_connection_is_closed():
    with rest_server(idle_s=1) as server, connected(server.port) as connection:
        assert connection.recv(1) == b""


def test_idle_connections_make_room_for_others():
    with rest_server(connections=20) as server, contextlib.ExitStack() as opened:
        for _ in range(30):
            opened.enter_context(connected(server.port))
        (answer,) = answers(server.port, STATUS)
    assert answer.status == 404


def test_large_bodies_take_no_more_than_their_disk():
    large = request("Content-Length: 6000000", body=b"{")
    chunked = request("Transfer-Encoding: chunked", body=b"1\r\n{\r\n")
    small = request("Content-Length: 2", "Connection: close", body=b"{}")
    with rest_server(bodies_bytes=10**7) as server, contextlib.ExitStack() as opened:
        opened.enter_context(connected(server.port)).sendall(large)
        assert [a.status for a in answers(server.port, small)] == [404]
        for data in (large, chunked):
            (answer,) = answers(server.port, data)
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert answer.error == "Too many large requests at once; ask again later."
