"""How a server is ended from outside."""

import signal
import time

POLL_S = 0.2


def wait_for_signal() -> None:
    """Returns after SIGTERM or SIGINT; for the main thread.

    The handler only sets a mark, which is polled. Waiting for a lock without a limit may miss a
    signal that arrives just before, and a handler that takes a lock may interrupt its owner.
    """
    received = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: received.append(True))
    while not received:
        time.sleep(POLL_S)
