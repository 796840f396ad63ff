"""Which requests run, and when: as many as keep the processors busy, if in time for an answer."""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from serving.server.errors import RequestError

LONGEST_S = 3600.0
MARGIN = 1.5
# Who is told at once that all are busy asks again at once. While threads are held by refusals, gRPC
# itself refuses those that are too many, unread, at a fraction of the cost.
PAUSE_S = 0.1
NEWEST_SHARE = 0.2
FORGOTTEN_S = 5.0
# Between two requests a processor waits a millisecond for Python. Where that is much of the time,
# twice as many run; long ones would only be in each other's way.
SHORT_S = 0.02


@dataclass
class Place:
    """A request among others.

    Args:
        kind: str. What is asked.
        size: int. Of its arrays, in bytes; of all arrays, where it runs with others.
        ends: float. When its time is over, by `time.perf_counter`; infinite without a limit.
        waits: bool. Others are ahead of it.
    """

    kind: str
    size: int
    ends: float
    waits: bool

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, None without a limit."""
        return seconds_until(self.ends)


class Pace:
    """Gives requests their turn, and knows how long those of like kind and size take of late.

    When more is asked than can be answered, requests wait until hardly any of their time is left.
    Run all the same, they would take the processors from those that can still be answered, and
    nobody would be. So a request is refused as soon as it is clear that it would be late: at once
    where too many are ahead of it, or when its turn comes. One that has to wait must have `MARGIN`
    times the usual time for itself. More at once than there are processors would only make each of
    them slower, unless they are short.

    Args:
        slots: int. Requests that run at once, short ones twice as many; 0 is one per processor.
        short_s: float. Which are short, in seconds; 0 for none.

    Example:
        >>> pace = Pace()
        >>> with pace.turn("moma", 1000, timeout_s=5.0):
        ...     time.sleep(0.2)
        >>> with pace.turn("moma", 1000, timeout_s=0.1):
        ...     pass
        Traceback (most recent call last):
        serving.server.errors.RequestError: late: 0.1 s are left, a request like this takes 0.2 s
    """

    def __init__(self, slots: int = 0, short_s: float = SHORT_S):
        self.slots, self._short_s = slots or os.cpu_count() or 1, short_s
        self._running, self._ended = 0, threading.Condition()
        self._lock = threading.Lock()
        # Requests that wait or run, and the seconds that they usually take.
        self._admitted, self._ahead_s = 0, 0.0
        # What the last of a kind and size took, and when that was found.
        self._seconds: dict[tuple[str, int], tuple[float, float]] = {}

    @contextmanager
    def turn(self, kind: str, size: int, timeout_s: float | None) -> Iterator[float | None]:
        """Waits for a slot and gives the seconds that are then left, None without a limit.

        Raises:
            RequestError: too little time is left for an answer. RESOURCE_EXHAUSTED where others
                were ahead of it, else DEADLINE_EXCEEDED.
        """
        with self.admitted(kind, size, timeout_s) as place, self.slot(place) as left_s:
            yield left_s

    @contextmanager
    def admitted(self, kind: str, size: int, timeout_s: float | None) -> Iterator[Place]:
        """Counts a request among those ahead of others, and gives its place.

        Raises:
            RequestError: too much is ahead of it.
        """
        place, usual_s = self._placed(kind, size, timeout_s, counted=True)
        try:
            yield place
        finally:
            with self._lock:
                self._admitted -= 1
                # Rounding must not add up.
                self._ahead_s = self._ahead_s - usual_s if self._admitted else 0.0

    def checked(self, kind: str, size: int, timeout_s: float | None) -> Place:
        """Gives the place of a request that is not counted, since it runs with another.

        Raises:
            RequestError: too much is ahead of it.
        """
        return self._placed(kind, size, timeout_s, counted=False)[0]

    def _placed(
        self, kind: str, size: int, timeout_s: float | None, *, counted: bool
    ) -> tuple[Place, float]:
        """Returns the place of a request, and the seconds that its like usually takes."""
        began = time.perf_counter()
        # gRPC says how long is left even where no deadline was set: longer than a lock can wait.
        limit_s = math.inf if timeout_s is None else min(max(0.0, timeout_s), LONGEST_S)
        usual_s = self.usual(kind, size)
        with self._lock:
            waits = self._admitted >= self.slots
            left_s = limit_s - (self._ahead_s / self.slots if waits else 0.0)
            refusal = _refusal(left_s, usual_s, waits)
            if refusal is None and counted:
                self._admitted += 1
                self._ahead_s += usual_s
        if refusal is not None:
            if waits:
                time.sleep(min(PAUSE_S, limit_s / 2))
            raise refusal
        return Place(kind, size, began + limit_s, waits), usual_s

    @contextmanager
    def slot(self, place: Place) -> Iterator[float | None]:
        """Waits for a slot and gives the seconds that are then left, None without a limit.

        Raises:
            RequestError: too little time is left for an answer.
        """
        if not self._started(place):
            raise busy("all processors are taken")
        try:
            began = time.perf_counter()
            usual_s = self.usual(place.kind, place.size)
            refusal = _refusal(place.ends - began, usual_s, place.waits)
            if refusal is not None:
                raise refusal
            try:
                yield place.left_s
            except RequestError as error:
                ended = error.code is grpc.StatusCode.DEADLINE_EXCEEDED
                if ended and time.perf_counter() - began > usual_s:
                    # It would have taken longer still; other refusals say nothing.
                    self._took(place, time.perf_counter() - began)
                raise
            self._took(place, time.perf_counter() - began)
        finally:
            with self._ended:
                self._running -= 1
                self._ended.notify()

    def _started(self, place: Place) -> bool:
        """Waits until a request may run; tells whether that came in time.

        Who would be refused afterwards need not wait for it.
        """
        left_s = place.left_s
        if left_s is not None and place.waits:
            left_s -= MARGIN * self.usual(place.kind, place.size)

        def may_run() -> bool:
            share = 2 if 0 < self.usual(place.kind, place.size) < self._short_s else 1
            return self._running < share * self.slots

        with self._ended:
            if not self._ended.wait_for(may_run, left_s):
                return False
            self._running += 1
            return True

    def usual(self, kind: str, size: int) -> float:
        """Returns the seconds of late; fewer the longer ago, or one slow answer were the last."""
        seconds, found = self._seconds.get(_alike(kind, size), (0.0, 0.0))
        return float(seconds * 0.5 ** ((time.perf_counter() - found) / FORGOTTEN_S))

    def _took(self, place: Place, seconds: float) -> None:
        alike = _alike(place.kind, place.size)
        before, _ = self._seconds.get(alike, (seconds, 0.0))
        newest = before + NEWEST_SHARE * (seconds - before)
        self._seconds[alike] = newest, time.perf_counter()


def seconds_until(ends: float) -> float | None:
    """Returns the seconds until a time of `time.perf_counter`, None where that never comes."""
    return None if math.isinf(ends) else ends - time.perf_counter()


def _alike(kind: str, size: int) -> tuple[str, int]:
    """Returns what a request has in common with others: sizes up to twice another's are alike."""
    return kind, size.bit_length()


def _refusal(left_s: float, usual_s: float, waits: bool) -> RequestError | None:
    """Returns why a request cannot be answered in the time that it would have, None if it can."""
    if 0 < left_s >= (MARGIN if waits else 1.0) * usual_s:
        return None
    why = f"{max(0.0, left_s):.1f} s are left, a request like this takes {usual_s:.1f} s"
    return busy(why) if waits else RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, f"late: {why}")


def busy(why: str) -> RequestError:
    """Returns the refusal of a request that others were ahead of."""
    return RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"busy: {why}")
