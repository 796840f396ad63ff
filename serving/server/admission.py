"""Admission control: which requests run and when, so that answers arrive before their deadlines.

TensorFlow Serving does this work in production. Its binary is on no package registry, so the page
(`ser web`) and the load tests run on this development server, which has to survive overload, too.
"""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from serving.server.errors import RequestError

MAX_TIMEOUT_S = 3600.0
# A request that has to wait must have this many times its usual duration left.
QUEUE_MARGIN = 1.5
# A client that is refused at once retries at once. While refusals occupy threads, gRPC itself
# rejects the surplus calls unread, at a fraction of the cost.
REFUSAL_DELAY_S = 0.1
# Weight of the newest duration in the usual one, which loses half of its value in this time.
NEWEST_WEIGHT = 0.2
HALF_LIFE_S = 5.0
# Between two requests a processor waits a millisecond for Python. Where that is much of the time,
# twice as many run; longer requests would only slow each other down.
SHORT_REQUEST_S = 0.02


@dataclass
class AdmittedRequest:
    """A request that waits or runs.

    Args:
        signature: str. Name of the signature that it runs.
        size: int. Bytes of its arrays; of all arrays, where it runs with others.
        deadline: float. By `time.perf_counter`; infinite without a limit.
        waits: bool. All slots are taken by requests before it.
    """

    signature: str
    size: int
    deadline: float
    waits: bool

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, None without one."""
        return seconds_until(self.deadline)


class AdmissionControl:
    """Gives requests their turn, and knows how long similar requests have taken of late.

    Under overload, requests wait until hardly any of their time is left. If they ran all the same,
    they would take the processors from requests that can still be answered in time. So a request is
    refused as soon as it is clear that it would be late: at once if too many are ahead of it, or
    when its turn comes. A request that has to wait must have `QUEUE_MARGIN` times its usual
    duration left. More requests at once than processors would only make each of them slower, unless
    they are short.

    Args:
        slots: int. Requests that run at once, short ones twice as many; 0 is one per processor.
        short_request_s: float. Requests shorter than this are short; 0 for none.

    Example:
        >>> admission = AdmissionControl()
        >>> with admission.turn("moma", 1000, timeout_s=5.0):
        ...     time.sleep(0.2)
        >>> with admission.turn("moma", 1000, timeout_s=0.1):
        ...     pass
        Traceback (most recent call last):
        serving.server.errors.RequestError: late: 0.1 s are left, a request like this takes 0.2 s
    """

    def __init__(self, slots: int = 0, short_request_s: float = SHORT_REQUEST_S):
        self.slots, self._short_request_s = slots or os.cpu_count() or 1, short_request_s
        self._running, self._slot_freed = 0, threading.Condition()
        self._lock = threading.Lock()
        # Number of requests that wait or run, and the sum of their usual durations.
        self._admitted, self._admitted_s = 0, 0.0
        # The usual duration by kind of request, and when it was last updated.
        self._usual: dict[tuple[str, int], tuple[float, float]] = {}

    @contextmanager
    def turn(self, signature: str, size: int, timeout_s: float | None) -> Iterator[float | None]:
        """Waits for a slot and gives the seconds that are then left, None without a limit.

        Raises:
            RequestError: too little time is left for an answer. RESOURCE_EXHAUSTED if others were
                ahead of it, else DEADLINE_EXCEEDED.
        """
        with self.admitted(signature, size, timeout_s) as request, self.slot(request) as left_s:
            yield left_s

    @contextmanager
    def admitted(
        self, signature: str, size: int, timeout_s: float | None
    ) -> Iterator[AdmittedRequest]:
        """Counts a request among those ahead of later ones, as long as the context lasts.

        Raises:
            RequestError: too much is ahead of it.
        """
        request, usual_s = self._admit(signature, size, timeout_s, counted=True)
        try:
            yield request
        finally:
            with self._lock:
                self._admitted -= 1
                # Rounding errors must not add up.
                self._admitted_s = self._admitted_s - usual_s if self._admitted else 0.0

    def check(self, signature: str, size: int, timeout_s: float | None) -> AdmittedRequest:
        """Admits a request without counting it, since it runs together with another.

        Raises:
            RequestError: too much is ahead of it.
        """
        return self._admit(signature, size, timeout_s, counted=False)[0]

    def _admit(
        self, signature: str, size: int, timeout_s: float | None, *, counted: bool
    ) -> tuple[AdmittedRequest, float]:
        """Returns (the admitted request, its usual duration in seconds)."""
        began = time.perf_counter()
        # Without a deadline gRPC reports a remaining time that is too long for a lock to wait.
        limit_s = math.inf if timeout_s is None else min(max(0.0, timeout_s), MAX_TIMEOUT_S)
        usual_s = self.usual_s(signature, size)
        with self._lock:
            waits = self._admitted >= self.slots
            left_s = limit_s - (self._admitted_s / self.slots if waits else 0.0)
            refusal = _refusal(left_s, usual_s, waits)
            if refusal is None and counted:
                self._admitted += 1
                self._admitted_s += usual_s
        if refusal is not None:
            if waits:
                time.sleep(min(REFUSAL_DELAY_S, limit_s / 2))
            raise refusal
        return AdmittedRequest(signature, size, began + limit_s, waits), usual_s

    @contextmanager
    def slot(self, request: AdmittedRequest) -> Iterator[float | None]:
        """Waits for a slot and gives the seconds that are then left, None without a limit.

        Raises:
            RequestError: too little time is left for an answer.
        """
        if not self._take_slot(request):
            raise busy("all processors are taken")
        try:
            began = time.perf_counter()
            usual_s = self.usual_s(request.signature, request.size)
            refusal = _refusal(request.deadline - began, usual_s, request.waits)
            if refusal is not None:
                raise refusal
            try:
                yield request.remaining_s
            except RequestError as error:
                timed_out = error.code is grpc.StatusCode.DEADLINE_EXCEEDED
                if timed_out and time.perf_counter() - began > usual_s:
                    # It would have taken longer still; other errors say nothing about durations.
                    self._record(request, time.perf_counter() - began)
                raise
            self._record(request, time.perf_counter() - began)
        finally:
            with self._slot_freed:
                self._running -= 1
                self._slot_freed.notify()

    def _take_slot(self, request: AdmittedRequest) -> bool:
        """Waits until a request may run; tells whether that came in time.

        It waits no longer than until the request would be refused anyway.
        """
        wait_s = request.remaining_s
        if wait_s is not None and request.waits:
            wait_s -= QUEUE_MARGIN * self.usual_s(request.signature, request.size)

        def may_run() -> bool:
            usual_s = self.usual_s(request.signature, request.size)
            per_slot = 2 if 0 < usual_s < self._short_request_s else 1
            return self._running < per_slot * self.slots

        with self._slot_freed:
            if not self._slot_freed.wait_for(may_run, wait_s):
                return False
            self._running += 1
            return True

    def usual_s(self, signature: str, size: int) -> float:
        """Returns the usual duration of recent requests.

        It decays with time, so that one slow answer does not shut out all later requests.
        """
        seconds, updated = self._usual.get(_kind(signature, size), (0.0, 0.0))
        return float(seconds * 0.5 ** ((time.perf_counter() - updated) / HALF_LIFE_S))

    def _record(self, request: AdmittedRequest, seconds: float) -> None:
        """Updates the usual duration with that of a request."""
        kind = _kind(request.signature, request.size)
        before, _ = self._usual.get(kind, (seconds, 0.0))
        self._usual[kind] = before + NEWEST_WEIGHT * (seconds - before), time.perf_counter()


def seconds_until(deadline: float) -> float | None:
    """Returns the seconds until a time of `time.perf_counter`, None for an infinite one."""
    return None if math.isinf(deadline) else deadline - time.perf_counter()


def _kind(signature: str, size: int) -> tuple[str, int]:
    """Returns what similar requests share: their signature and the power of two of their size."""
    return signature, size.bit_length()


def _refusal(left_s: float, usual_s: float, waits: bool) -> RequestError | None:
    """Returns why a request cannot be answered in the time that is left, None if it can."""
    if 0 < left_s >= (QUEUE_MARGIN if waits else 1.0) * usual_s:
        return None
    why = f"{max(0.0, left_s):.1f} s are left, a request like this takes {usual_s:.1f} s"
    return busy(why) if waits else RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, f"late: {why}")


def busy(why: str) -> RequestError:
    """Returns the refusal of a request that others were ahead of."""
    return RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"busy: {why}")
