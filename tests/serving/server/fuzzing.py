"""Requests with a few bytes changed, and requests that come too slowly."""

import contextlib
import socket
import time

import numpy as np


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Returns bytes with a few of them changed, cut out or put in."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        position = int(rng.integers(0, len(changed) + 1))
        kind = rng.integers(0, 4)
        if kind == 0 and position < len(changed):
            changed[position] = rng.integers(0, 256)
        elif kind == 1:
            changed[position:position] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 2:
            del changed[position : position + int(rng.integers(1, 20))]
        else:
            del changed[position:]
    return bytes(changed)


def send_slowly(port: int, path: str, seconds: float) -> None:
    """Posts a body a byte at a time, until the server has enough of it or the time is over.

    Args:
        port: of REST on this machine.
        path: str.
        seconds: float. At most so long.
    """
    deadline = time.monotonic() + seconds
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("localhost", port), timeout=10) as connection,
    ):
        connection.sendall(head.encode())
        while time.monotonic() < deadline:
            connection.sendall(b" ")
            time.sleep(0.5)
