"""How a program that serves is ended from outside."""

import signal
import time

LOOK_S = 0.2


def wait_for_the_end() -> None:
    """Returns after SIGTERM or SIGINT; for the main thread.

    A lock that is waited for without limit may miss a signal that comes just before, and a handler
    that takes a lock may find it taken by whom it interrupts. So one only sets a mark, and the mark
    is looked at.
    """
    told = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.append(True))
    while not told:
        time.sleep(LOOK_S)
