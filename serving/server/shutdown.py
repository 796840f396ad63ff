"""How a server is ended from outside."""

import signal
import time

POLL_S = 0.2


class EndSignal:
    """SIGTERM or SIGINT, noticed from now on; for the main thread.

    Make it before anyone is told that the server is there, who may end it at once. The handler only
    sets a mark, which is polled. Waiting for a lock without a limit may miss a signal that arrives
    just before, and a handler that takes a lock may interrupt its owner.
    """

    def __init__(self) -> None:
        self._received: list[bool] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._received.append(True))

    def wait(self) -> None:
        """Returns once a signal has arrived."""
        while not self._received:
            time.sleep(POLL_S)
