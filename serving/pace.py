"""Which requests run, and when: one per processor, those that can be answered in time."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from serving.request_error import RequestError

LONGEST_S = 3600.0
MARGIN = 1.5
NEWEST_SHARE = 0.2
FORGOTTEN = 0.95


class Pace:
    """Gives requests their turn, and knows how long they take of late, by kind and size.

    When more is asked than can be answered, requests wait until hardly any of their time is left.
    Run all the same, they would take the processors from those that can still be answered, and
    nobody would be. One that has not `MARGIN` times the usual time left is refused instead. More at
    once than there are processors would only make each of them slower.

    Args:
        slots: int. Requests that run at once; 0 is one per processor.

    Example:
        >>> pace = Pace()
        >>> with pace.turn("moma", 1000, timeout_s=5.0):
        ...     time.sleep(0.2)
        >>> with pace.turn("moma", 1000, timeout_s=0.1):
        ...     pass
        Traceback (most recent call last):
        serving.request_error.RequestError: busy: 0.1 s are left, a request like this takes 0.2 s
    """

    def __init__(self, slots: int = 0):
        self._slots = threading.Semaphore(slots or os.cpu_count() or 1)
        self._seconds_per_byte: dict[str, float] = {}

    @contextmanager
    def turn(self, kind: str, size: int, timeout_s: float | None) -> Iterator[float | None]:
        """Waits for a slot and gives the seconds that are then left, None without a limit.

        Raises:
            RequestError: RESOURCE_EXHAUSTED, there is too little time left for an answer;
                DEADLINE_EXCEEDED, there is none.
        """
        asked = time.perf_counter()
        # gRPC says how long is left even where no deadline was set: longer than a lock can wait.
        limit_s = None if timeout_s is None else min(timeout_s, LONGEST_S)
        if not self._slots.acquire(timeout=limit_s):
            raise _late()
        try:
            began = time.perf_counter()
            left_s = None if limit_s is None else limit_s - (began - asked)
            self._admit(kind, size, left_s)
            try:
                yield left_s
            except RequestError as error:
                # What was given up would have taken longer still; other refusals say nothing.
                if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._took(kind, size, time.perf_counter() - began)
                raise
            self._took(kind, size, time.perf_counter() - began)
        finally:
            self._slots.release()

    def _admit(self, kind: str, size: int, left_s: float | None) -> None:
        usual_s = size * self._seconds_per_byte.get(kind, 0.0)
        if left_s is not None and left_s <= 0:
            raise _late()
        if left_s is None or left_s >= MARGIN * usual_s:
            return
        # Or after one slow answer nothing would be tried any more.
        self._seconds_per_byte[kind] *= FORGOTTEN
        raise RequestError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"busy: {left_s:.1f} s are left, a request like this takes {usual_s:.1f} s",
        )

    def _took(self, kind: str, size: int, seconds: float) -> None:
        newest = seconds / max(size, 1)
        before = self._seconds_per_byte.get(kind, newest)
        self._seconds_per_byte[kind] = before + NEWEST_SHARE * (newest - before)


def _late() -> RequestError:
    return RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "no time is left")
