"""Requests that wait at the same time and run as one: TensorFlow Serving's batching."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.pace import Pace, late
from serving.request_error import RequestError

Arrays = Mapping[str, np.ndarray]
# (name of a signature, its inputs, seconds or None) -> its outputs.
Run = Callable[[str, Arrays, float | None], Arrays]


@dataclass(eq=False)
class _Request:
    """One that wants an answer.

    Args:
        inputs: mapping of name to array (rows, ...).
        ends: float. When its time is over, by `time.perf_counter`; infinite without a limit.
        woken: set when it has an answer, or when it has to look for another batch.
        alone: bool. It may not be joined again, since a batch with it failed.
    """

    inputs: Arrays
    ends: float
    woken: threading.Event = field(default_factory=threading.Event)
    outputs: Arrays | None = None
    alone: bool = False

    @property
    def rows(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def left_s(self) -> float | None:
        return None if math.isinf(self.ends) else max(0.0, self.ends - time.perf_counter())


@dataclass(eq=False)
class _Batch:
    """Requests of one kind that will run together; who opened it leads."""

    kind: object
    requests: list[_Request]

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)


class Batches:
    """Joins requests of equal shapes that wait for a processor.

    No request waits for others to come: those that find all processors busy run together when the
    next is free. So the `batch_timeout_micros` of a batching.config, which bounds such waiting, has
    nothing to do here.

    Args:
        pace: gives batches their turn.
        run: runs a signature.
        most_rows: int. Of a batch; TensorFlow Serving's `max_batch_size`.
    """

    def __init__(self, pace: Pace, run: Run, most_rows: int):
        self._pace, self._run, self._most_rows = pace, run, most_rows
        self._lock = threading.Lock()
        # Those that may still be joined.
        self._open: list[_Batch] = []

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
        request = _Request(inputs, ends)
        kind = name, *sorted((key, a.dtype.str, a.shape[1:]) for key, a in inputs.items())
        while request.outputs is None:
            batch = self._joined(kind, request, size)
            if batch is None:
                self._lead(kind, request, size)
            elif request.woken.wait(request.left_s):
                request.woken.clear()
            else:
                self._leave(batch, request)
                raise late("all processors are taken")
        return request.outputs

    def _joined(self, kind: tuple[object, ...], request: _Request, size: int) -> _Batch | None:
        """Returns the open batch that the request is now part of, if there is one with room."""
        if request.alone or not self._open:
            return None
        self._pace.checked(str(kind[0]), size, request.left_s)
        with self._lock:
            for batch in self._open:
                if batch.kind == kind and batch.rows + request.rows <= self._most_rows:
                    batch.requests.append(request)
                    return batch
        return None

    def _leave(self, batch: _Batch, request: _Request) -> None:
        """Takes a request out of a batch that has not begun."""
        with self._lock:
            if batch in self._open:
                batch.requests.remove(request)

    def _lead(self, kind: tuple[object, ...], request: _Request, size: int) -> None:
        """Opens a batch, waits for its turn and runs it, with those that have joined by then."""
        name = str(kind[0])
        with self._pace.admitted(name, size, request.left_s) as place:
            batch = _Batch(kind, [request])
            with self._lock:
                if not request.alone:
                    self._open.append(batch)
            try:
                with self._pace.slot(place):
                    self._answer(name, self._closed(batch))
            finally:
                # Without an answer, they look for another batch.
                for other in self._closed(batch)[1:]:
                    other.woken.set()

    def _closed(self, batch: _Batch) -> list[_Request]:
        with self._lock:
            if batch in self._open:
                self._open.remove(batch)
        return batch.requests

    def _answer(self, name: str, requests: Sequence[_Request]) -> None:
        """Runs a batch and gives everyone their rows."""
        if len(requests) == 1:
            requests[0].outputs = self._run(name, requests[0].inputs, requests[0].left_s)
            return
        joined = {
            key: np.concatenate([request.inputs[key] for request in requests])
            for key in requests[0].inputs
        }
        left_s = max(request.ends for request in requests) - time.perf_counter()
        try:
            outputs = self._run(name, joined, None if math.isinf(left_s) else left_s)
        except RequestError:
            # Whose fault it is, each finds out alone.
            for request in requests:
                request.alone = True
            return
        start = 0
        for request in requests:
            rows = slice(start, start := start + request.rows)
            request.outputs = {key: values[rows] for key, values in outputs.items()}
