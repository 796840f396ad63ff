"""Which requests run, and when: one per processor, those that can be answered in time."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from serving.request_error import RequestError

LONGEST_S = 3600.0
MARGIN = 3.0
NEWEST_SHARE = 0.2
FORGOTTEN_S = 5.0


class Pace:
    """Gives requests their turn, and knows how long those of like kind and size take of late.

    When more is asked than can be answered, requests wait until hardly any of their time is left.
    Run all the same, they would take the processors from those that can still be answered, and
    nobody would be. One that had to wait and has not `MARGIN` times the usual time left is refused
    instead, one that had not to wait only if it has not the usual time. More at once than there are
    processors would only make each of them slower.

    Args:
        slots: int. Requests that run at once; 0 is one per processor.

    Example:
        >>> pace = Pace()
        >>> with pace.turn("moma", 1000, timeout_s=5.0):
        ...     time.sleep(0.2)
        >>> with pace.turn("moma", 1000, timeout_s=0.1):
        ...     pass
        Traceback (most recent call last):
        serving.request_error.RequestError: late: 0.1 s are left, a request like this takes 0.2 s
    """

    def __init__(self, slots: int = 0):
        self._slots = threading.Semaphore(slots or os.cpu_count() or 1)
        # What the last ones took, and when that was found.
        self._seconds: dict[tuple[str, int], tuple[float, float]] = {}

    @contextmanager
    def turn(self, kind: str, size: int, timeout_s: float | None) -> Iterator[float | None]:
        """Waits for a slot and gives the seconds that are then left, None without a limit.

        Raises:
            RequestError: too little time is left for an answer. RESOURCE_EXHAUSTED where it waited
                for a slot and got one, else DEADLINE_EXCEEDED.
        """
        asked = time.perf_counter()
        # gRPC says how long is left even where no deadline was set: longer than a lock can wait.
        limit_s = None if timeout_s is None else min(timeout_s, LONGEST_S)
        free = self._slots.acquire(blocking=False)
        if not free and not self._slots.acquire(timeout=limit_s):
            raise _late("all processors are taken")
        try:
            began = time.perf_counter()
            left_s = None if limit_s is None else limit_s - (began - asked)
            # Sizes up to twice another's are alike.
            alike = kind, size.bit_length()
            self._admit(alike, left_s, waited=not free)
            try:
                yield left_s
            except RequestError as error:
                # What was given up would have taken longer still; other refusals say nothing.
                took = time.perf_counter() - began
                if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and took > self._usual(alike):
                    self._took(alike, took)
                raise
            self._took(alike, time.perf_counter() - began)
        finally:
            self._slots.release()

    def _admit(self, alike: tuple[str, int], left_s: float | None, waited: bool) -> None:
        usual_s = self._usual(alike)
        if left_s is None or (0 < left_s >= (MARGIN if waited else 1.0) * usual_s):
            return
        why = f"{left_s:.1f} s are left, a request like this takes {usual_s:.1f} s"
        raise _busy(why) if waited else _late(why)

    def _usual(self, alike: tuple[str, int]) -> float:
        """Returns the seconds of late; fewer the longer ago, or one slow answer were the last."""
        seconds, found = self._seconds.get(alike, (0.0, 0.0))
        return float(seconds * 0.5 ** ((time.perf_counter() - found) / FORGOTTEN_S))

    def _took(self, alike: tuple[str, int], seconds: float) -> None:
        before, _ = self._seconds.get(alike, (seconds, 0.0))
        newest = before + NEWEST_SHARE * (seconds - before)
        self._seconds[alike] = newest, time.perf_counter()


def _busy(why: str) -> RequestError:
    return RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"busy: {why}")


def _late(why: str) -> RequestError:
    return RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, f"late: {why}")
