"""Requests that wait at the same time and run as one: TensorFlow Serving's batching."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from serving.server.admission import MARGIN, Pace, busy, seconds_until
from serving.server.errors import RequestError

Arrays = Mapping[str, np.ndarray]
# A batch that takes longer keeps its first request waiting for the sake of the others.
LONGEST_S = 0.1
# (name of a signature, its inputs, seconds or None) -> its outputs.
Run = Callable[[str, Arrays, float | None], Arrays]


@dataclass(frozen=True)
class Batching:
    """How requests are joined, as a batching.config says it.

    Args:
        most_rows: int. Of a batch: `max_batch_size`.
        wait_s: float. How long a batch that is not full waits for more: `batch_timeout_micros`.
        slots: int. Batches that run at once: `num_batch_threads`; 0 is one per processor.
    """

    most_rows: int = 1000
    wait_s: float = 0.0
    slots: int = 0


@dataclass(eq=False)
class _Request:
    """One that wants an answer.

    Args:
        inputs: mapping of name to array (rows, ...).
        size: int. Of the arrays, in bytes.
        ends: float. When its time is over, by `time.perf_counter`; infinite without a limit.
        woken: set when it has an answer, or when it has to look for another batch.
        alone: bool. It may not be joined again, since a batch with it failed.
    """

    inputs: Arrays
    size: int
    ends: float
    woken: threading.Event = field(default_factory=threading.Event)
    outputs: Arrays | None = None
    alone: bool = False

    @property
    def rows(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def left_s(self) -> float | None:
        return seconds_until(self.ends)


@dataclass(eq=False)
class _Batch:
    """Requests of one kind that will run together; who opened it leads."""

    kind: object
    requests: list[_Request]

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)

    @property
    def size(self) -> int:
        return sum(request.size for request in self.requests)


class Batches:
    """Joins requests of equal shapes that wait for a processor.

    Those that find all processors busy run together when the next is free. No batch takes more than
    its processor's share of all that is there: one that took everything would leave the others to
    requests that run alone, and a row alone takes longer than one of several. Only a batch that is
    smaller than those that run beside it waits for more to come.

    Args:
        rules: how they are joined.
        run: runs a signature.

    Attributes:
        pace: gives batches, and what runs beside them, their turn.
    """

    def __init__(self, rules: Batching, run: Run):
        self._rules, self._run = rules, run
        # What short ones waste is saved by joining them.
        self.pace = Pace(rules.slots, short_s=0.0)
        # Of the batches that may still be joined, and of the rows of those that run.
        self._changed = threading.Condition()
        self._open: list[_Batch] = []
        self._running_rows = 0

    def run(self, name: str, inputs: Arrays, size: int, timeout_s: float | None) -> Arrays:
        """Returns the outputs of a signature, as if the request had run alone.

        Args:
            name: str. A signature whose inputs and outputs all begin with the axis of the batch.
            inputs: mapping of its inputs to arrays (rows, ...), with one number of rows.
            size: int. Bytes of the inputs.
            timeout_s: float or None.

        Raises:
            RequestError: the pace or the graph refuses it.
        """
        ends = math.inf if timeout_s is None else time.perf_counter() + timeout_s
        request = _Request(inputs, size, ends)
        kind = name, *sorted((key, a.dtype.str, a.shape[1:]) for key, a in inputs.items())
        while request.outputs is None:
            batch = self._joined(kind, request)
            if batch is None:
                self._lead(kind, request)
            elif request.woken.wait(request.left_s):
                request.woken.clear()
            else:
                self._leave(batch, request)
                raise busy("all processors are taken")
        return request.outputs

    def _joined(self, kind: tuple[object, ...], request: _Request) -> _Batch | None:
        """Returns the open batch that the request is now part of, if there is one with room."""
        name = str(kind[0])
        if not self._open or not self._may_be_joined(name, request):
            return None
        self.pace.checked(name, request.size, request.left_s)
        with self._changed:
            rows = self._running_rows + request.rows + sum(batch.rows for batch in self._open)
            most = min(math.ceil(rows / self.pace.slots), self._rules.most_rows)
            for batch in self._open:
                if (
                    batch.kind == kind
                    and batch.rows + request.rows <= most
                    and self.pace.usual(name, batch.size + request.size) < LONGEST_S
                ):
                    batch.requests.append(request)
                    self._changed.notify_all()
                    return batch
        return None

    def _may_be_joined(self, name: str, request: _Request) -> bool:
        return not request.alone and self.pace.usual(name, request.size) < LONGEST_S / 2

    def _leave(self, batch: _Batch, request: _Request) -> None:
        """Takes a request out of a batch that has not begun."""
        with self._changed:
            if batch in self._open:
                batch.requests.remove(request)

    def _lead(self, kind: tuple[object, ...], request: _Request) -> None:
        """Opens a batch, waits for its turn and runs it, with those that have joined by then."""
        name = str(kind[0])
        with self.pace.admitted(name, request.size, request.left_s) as place:
            batch, joins = _Batch(kind, [request]), self._may_be_joined(name, request)
            if joins:
                with self._changed:
                    self._open.append(batch)
            try:
                with self.pace.slot(place):
                    if joins:
                        self._wait_for_more(batch)
                    self._closed(batch)
                    self._keep_those_in_time(name, batch)
                    place.size = batch.size
                    with self._counted(batch.rows):
                        self._answer(name, batch.requests)
            finally:
                # Without an answer, they look for another batch.
                for other in self._closed(batch)[1:]:
                    other.woken.set()

    def _wait_for_more(self, batch: _Batch) -> None:
        """Waits a moment for a batch to be as large as what runs beside it."""

        def enough() -> bool:
            beside = self._running_rows / max(1, self.pace.slots - 1)
            return batch.rows >= min(beside, self._rules.most_rows)

        with self._changed:
            self._changed.wait_for(enough, self._rules.wait_s)

    def _closed(self, batch: _Batch) -> list[_Request]:
        with self._changed:
            if batch in self._open:
                self._open.remove(batch)
        return batch.requests

    def _keep_those_in_time(self, name: str, batch: _Batch) -> None:
        """Leaves those out, of who came last, with whom the batch would be late for one of it."""
        now, size, ends = time.perf_counter(), 0, math.inf
        for number, request in enumerate(batch.requests):
            size, ends = size + request.size, min(ends, request.ends)
            if number and ends - now < MARGIN * self.pace.usual(name, size):
                out, batch.requests = batch.requests[number:], batch.requests[:number]
                for other in out:
                    other.woken.set()
                return

    @contextmanager
    def _counted(self, rows: int) -> Iterator[None]:
        with self._changed:
            self._running_rows += rows
        try:
            yield
        finally:
            with self._changed:
                self._running_rows -= rows
                self._changed.notify_all()

    def _answer(self, name: str, requests: Sequence[_Request]) -> None:
        """Runs a batch and gives everyone their rows."""
        if len(requests) == 1:
            requests[0].outputs = self._run(name, requests[0].inputs, requests[0].left_s)
            return
        joined = {
            key: np.concatenate([request.inputs[key] for request in requests])
            for key in requests[0].inputs
        }
        ends = max(request.ends for request in requests)
        try:
            outputs = self._run(name, joined, seconds_until(ends))
        except RequestError:
            # Whose fault it is, each finds out alone.
            for request in requests:
                request.alone = True
            return
        start = 0
        for request in requests:
            rows = slice(start, start := start + request.rows)
            request.outputs = {key: values[rows] for key, values in outputs.items()}
