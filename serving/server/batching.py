"""Batching: requests that wait at the same time and run as one, as in TensorFlow Serving.

As in `serving.server.admission`, this is for the page and the load tests, which run on this
development server; in production TensorFlow Serving does it.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from serving.server.admission import QUEUE_MARGIN, AdmissionControl, busy, seconds_until
from serving.server.errors import RequestError

Arrays = Mapping[str, np.ndarray]
# A longer batch would delay its first request too much for the sake of the others.
MAX_BATCH_S = 0.1
# (name of a signature, its inputs, seconds or None) -> its outputs.
RunSignature = Callable[[str, Arrays, float | None], Arrays]


@dataclass(frozen=True)
class BatchingParameters:
    """How requests are joined, as in a batching.config.

    Args:
        max_rows: int. Most rows of a batch: `max_batch_size`.
        wait_s: float. How long a batch that is not full waits for more: `batch_timeout_micros`.
        slots: int. Batches that run at once: `num_batch_threads`; 0 is one per processor.
    """

    max_rows: int = 1000
    wait_s: float = 0.0
    slots: int = 0


@dataclass(eq=False)
class _PendingRequest:
    """A request without an answer.

    Args:
        inputs: mapping of name to array (rows, ...).
        size: int. Bytes of the arrays.
        deadline: float. By `time.perf_counter`; infinite without a limit.
        woken: set when it has an answer, or when it has to find another batch.
        alone: bool. It may not be joined again, since a batch with it failed.
    """

    inputs: Arrays
    size: int
    deadline: float
    woken: threading.Event = field(default_factory=threading.Event)
    outputs: Arrays | None = None
    alone: bool = False

    @property
    def rows(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def remaining_s(self) -> float | None:
        return seconds_until(self.deadline)


@dataclass(eq=False)
class _Batch:
    """Requests of one kind that will run together; the first one's thread runs them.

    Args:
        kind: the signature's name, with names, types and shapes of its inputs.
        requests: in the order in which they joined.
    """

    kind: object
    requests: list[_PendingRequest]

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)

    @property
    def size(self) -> int:
        return sum(request.size for request in self.requests)


class Batcher:
    """Joins requests of equal shapes that wait for a processor.

    Requests that find all processors busy run together when the next one is free. No batch takes
    more than its processor's share of all rows: if one took all, the other processors would be left
    with requests that run alone, and a row alone takes longer than one of several. Only a batch
    that is smaller than those that run beside it waits for more rows.

    Args:
        parameters: how requests are joined.
        run_signature: runs a signature.

    Attributes:
        admission: gives batches, and what runs beside them, their turn.
    """

    def __init__(self, parameters: BatchingParameters, run_signature: RunSignature):
        self._parameters, self._run_signature = parameters, run_signature
        # No extra slots for short requests: what they waste is saved by joining them.
        self.admission = AdmissionControl(parameters.slots, short_request_s=0.0)
        # Guards the batches that may still be joined, and the number of rows that run.
        self._changed = threading.Condition()
        self._open: list[_Batch] = []
        self._running_rows = 0

    def run(self, signature: str, inputs: Arrays, size: int, timeout_s: float | None) -> Arrays:
        """Returns the outputs of a signature, as if the request had run alone.

        Args:
            signature: str. Name of a signature whose inputs and outputs all begin with the axis of
                the batch.
            inputs: mapping of its inputs to arrays (rows, ...), with one number of rows.
            size: int. Bytes of the inputs.
            timeout_s: float or None.

        Raises:
            RequestError: the admission control or the graph refuses it.
        """
        deadline = math.inf if timeout_s is None else time.perf_counter() + timeout_s
        request = _PendingRequest(inputs, size, deadline)
        kind = signature, *sorted((key, a.dtype.str, a.shape[1:]) for key, a in inputs.items())
        while request.outputs is None:
            batch = self._join(kind, request)
            if batch is None:
                self._lead(kind, request)
            elif request.woken.wait(request.remaining_s):
                request.woken.clear()
            else:
                self._leave(batch, request)
                raise busy("all processors are taken")
        return request.outputs

    def _join(self, kind: tuple[object, ...], request: _PendingRequest) -> _Batch | None:
        """Adds the request to an open batch with room and returns that, None without one."""
        signature = str(kind[0])
        if not self._open or not self._may_join(signature, request):
            return None
        self.admission.check(signature, request.size, request.remaining_s)
        with self._changed:
            rows = self._running_rows + request.rows + sum(batch.rows for batch in self._open)
            share = math.ceil(rows / self.admission.slots)
            max_rows = min(share, self._parameters.max_rows)
            for batch in self._open:
                if (
                    batch.kind == kind
                    and batch.rows + request.rows <= max_rows
                    and self.admission.usual_s(signature, batch.size + request.size) < MAX_BATCH_S
                ):
                    batch.requests.append(request)
                    self._changed.notify_all()
                    return batch
        return None

    def _may_join(self, signature: str, request: _PendingRequest) -> bool:
        usual_s = self.admission.usual_s(signature, request.size)
        return not request.alone and usual_s < MAX_BATCH_S / 2

    def _leave(self, batch: _Batch, request: _PendingRequest) -> None:
        """Takes a request out of a batch that has not begun."""
        with self._changed:
            if batch in self._open:
                batch.requests.remove(request)

    def _lead(self, kind: tuple[object, ...], request: _PendingRequest) -> None:
        """Opens a batch, waits for its turn and runs it with the requests that have joined."""
        signature = str(kind[0])
        with self.admission.admitted(signature, request.size, request.remaining_s) as admitted:
            batch, is_open = _Batch(kind, [request]), self._may_join(signature, request)
            if is_open:
                with self._changed:
                    self._open.append(batch)
            try:
                with self.admission.slot(admitted):
                    if is_open:
                        self._wait_for_more(batch)
                    self._close(batch)
                    self._leave_out_late(signature, batch)
                    admitted.size = batch.size
                    with self._count_running(batch.rows):
                        self._answer(signature, batch.requests)
            finally:
                self._close(batch)
                # Requests without an answer find another batch.
                for follower in batch.requests[1:]:
                    follower.woken.set()

    def _wait_for_more(self, batch: _Batch) -> None:
        """Waits a moment for a batch to be as large as those that run beside it."""

        def is_large_enough() -> bool:
            beside = self._running_rows / max(1, self.admission.slots - 1)
            return batch.rows >= min(beside, self._parameters.max_rows)

        with self._changed:
            self._changed.wait_for(is_large_enough, self._parameters.wait_s)

    def _close(self, batch: _Batch) -> None:
        """Lets no more requests join a batch."""
        with self._changed:
            if batch in self._open:
                self._open.remove(batch)

    def _leave_out_late(self, signature: str, batch: _Batch) -> None:
        """Leaves out the last requests with which the batch would miss a deadline of its own."""
        now, size, deadline = time.perf_counter(), 0, math.inf
        for number, request in enumerate(batch.requests):
            size, deadline = size + request.size, min(deadline, request.deadline)
            usual_s = self.admission.usual_s(signature, size)
            if number and deadline - now < QUEUE_MARGIN * usual_s:
                left_out, batch.requests = batch.requests[number:], batch.requests[:number]
                for late in left_out:
                    late.woken.set()
                return

    @contextmanager
    def _count_running(self, rows: int) -> Iterator[None]:
        with self._changed:
            self._running_rows += rows
        try:
            yield
        finally:
            with self._changed:
                self._running_rows -= rows
                self._changed.notify_all()

    def _answer(self, signature: str, requests: Sequence[_PendingRequest]) -> None:
        """Runs a batch and gives each request its rows."""
        if len(requests) == 1:
            (request,) = requests
            request.outputs = self._run_signature(signature, request.inputs, request.remaining_s)
            return
        joined = {
            key: np.concatenate([request.inputs[key] for request in requests])
            for key in requests[0].inputs
        }
        deadline = max(request.deadline for request in requests)
        try:
            outputs = self._run_signature(signature, joined, seconds_until(deadline))
        except RequestError:
            # Each runs again by itself, so that only the faulty one is refused.
            for request in requests:
                request.alone = True
            return
        start = 0
        for request in requests:
            rows = slice(start, start := start + request.rows)
            request.outputs = {key: values[rows] for key, values in outputs.items()}
