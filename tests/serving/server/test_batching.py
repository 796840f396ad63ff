import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from serving.server.batching import Batcher, BatchingParameters, _Batch, _PendingRequest
from serving.server.errors import RequestError
from serving.server.session import LoadedModel
from tests.serving import exports


class Doubler:
    """A batcher of a graph that doubles, refuses negative values, and blocks on zeros."""

    def __init__(self, max_rows=16, slots=1, wait_s=0.0):
        self.runs, self.open, self.slots = [], threading.Event(), slots
        self.batcher = Batcher(BatchingParameters(max_rows, wait_s, slots), self.graph)

    def graph(self, name, inputs, timeout_s):
        values = inputs["x"]
        self.runs.append(values[:, 0].tolist())
        if (values == 0).any():
            self.open.wait(10)
        if (values < 0).any():
            raise RequestError.invalid("negative")
        return {"y": 2 * values}

    def ask(self, value, timeout_s=None, width=1, rows=1):
        inputs = {"x": np.full((rows, width), value, np.float32)}
        return self.batcher.run("double", inputs, inputs["x"].nbytes, timeout_s)["y"]

    def meanwhile(self, *requests, busy_s=0.0):
        """Asks while all processors are busy; returns answers or errors, in the requests' order."""

        def answer_or_error(request):
            try:
                return self.ask(**request)[0, 0]
            except RequestError as error:
                return error

        with ThreadPoolExecutor(len(requests) + self.slots) as pool:
            busy = [pool.submit(self.ask, 0) for _ in range(self.slots)]
            while len(self.runs) < self.slots and not any(future.done() for future in busy):
                time.sleep(0.001)
            answers = []
            for count, request in enumerate(requests, 1):
                answers.append(pool.submit(answer_or_error, request))
                # One after the other, so that they wait in this order.
                while self.waiting() + sum(future.done() for future in answers) < count:
                    time.sleep(0.001)
            time.sleep(busy_s)
            self.open.set()
            assert [future.result()[0, 0] for future in busy] == [0] * self.slots
            return [future.result() for future in answers]

    def waiting(self):
        return sum(len(batch.requests) for batch in self.batcher._open)


def test_requests_that_wait_at_the_same_time_run_as_one():
    graph = Doubler()
    assert graph.meanwhile(*({"value": value} for value in (1, 2, 3))) == [2, 4, 6]
    assert graph.runs == [[0], [1, 2, 3]]


def test_a_request_alone_does_not_wait():
    graph = Doubler()
    assert graph.ask(5) == 10
    assert graph.runs == [[5]]


def test_no_batch_takes_more_than_its_processors_share():
    graph = Doubler(slots=2)
    values = range(1, 7)
    assert graph.meanwhile(*({"value": value} for value in values)) == [2 * v for v in values]
    # Eight rows for two processors; when the fourth came, there were six.
    assert sorted(graph.runs) == [[0], [0], [1, 2, 3, 5], [4, 6]]


def test_a_batch_waits_until_it_is_as_large_as_what_runs_beside_it():
    graph = Doubler(slots=2, wait_s=60.0)
    with ThreadPoolExecutor(3) as pool:
        busy = pool.submit(graph.ask, 0, rows=2)
        while not graph.runs:
            time.sleep(0.001)
        answers = [pool.submit(graph.ask, 1)]
        while not graph.waiting():
            time.sleep(0.001)
        assert graph.runs == [[0, 0]]
        answers.append(pool.submit(graph.ask, 2))
        assert [future.result(timeout=30)[0, 0] for future in answers] == [2, 4]
        graph.open.set()
        busy.result()
    assert graph.runs == [[0, 0], [1, 2]]


def test_a_batch_stops_waiting_when_nothing_runs_beside_it_any_more():
    graph = Doubler(slots=2, wait_s=60.0)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(graph.ask, 0, rows=2)
        while not graph.runs:
            time.sleep(0.001)
        answer = pool.submit(graph.ask, 1)
        while not graph.waiting():
            time.sleep(0.001)
        graph.open.set()
        assert answer.result(timeout=30)[0, 0] == 2
    assert graph.runs == [[0, 0], [1]]


def test_other_shapes_run_by_themselves():
    graph = Doubler()
    wide = {"value": 3, "width": 2}
    assert graph.meanwhile({"value": 1}, wide, {"value": 2}) == [2, 6, 4]
    assert sorted(graph.runs) == [[0], [1, 2], [3]]


def test_no_batch_has_more_rows_than_it_may():
    graph = Doubler(max_rows=3)
    two = [{"value": value, "rows": 2} for value in (1, 2)]
    assert graph.meanwhile(*two, {"value": 3}, {"value": 4, "rows": 5}) == [2, 4, 6, 8]
    assert sorted(graph.runs) == [[0], [1, 1, 3], [2, 2], [4] * 5]


def test_a_request_that_the_graph_refuses_fails_alone():
    graph = Doubler()
    first, refused, last = graph.meanwhile({"value": 1}, {"value": -1}, {"value": 3})
    assert (first, last) == (2, 6)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert graph.runs[:2] == [[0], [1, -1, 3]]


@pytest.mark.parametrize("number", [0, 1])
def test_a_request_whose_time_is_over_leaves_the_batch(number):
    graph = Doubler()
    requests = [{"value": value} for value in (1, 2, 3)]
    requests[number]["timeout_s"] = 0.1
    answers = graph.meanwhile(*requests, busy_s=0.3)
    late = answers.pop(number)
    assert late.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    values = [value for value in (1, 2, 3) if value != number + 1]
    assert answers == [2 * value for value in values]
    assert sorted(itertools.chain(*graph.runs)) == [0, *values]


def test_requests_that_would_make_others_late_are_left_out():
    batcher = Doubler().batcher
    inputs = {"x": np.ones((1, 1), np.float32)}
    now = time.perf_counter()
    requests = [_PendingRequest(inputs, 4, now + left_s) for left_s in (1.0, 9.0, 9.0, 9.0)]
    # Bytes of one, of two or three, and of four requests, and what they took.
    for size, seconds in {4: 0.1, 8: 0.1, 16: 2.0}.items():
        batcher.admission._record(batcher.admission.check("double", size, None), seconds)
    batch = _Batch("double", list(requests))
    batcher._leave_out_late("double", batch)
    assert batch.requests == requests[:3]
    assert [request.woken.is_set() for request in requests] == [False, False, False, True]


def test_answers_of_a_batch_are_those_of_the_requests_alone(moma):
    """Many threads at once, clips of two lengths, some in requests of two rows."""
    clips = exports.clips(12, least=3000, most=3001) + exports.clips(6, least=6000, most=6001)
    requests = [exports.batch([clip]) for clip in clips] + [exports.batch(clips[:2])]
    requests.append({"waveform": np.zeros((1, 3000), np.float32), "length": np.array([1, 2], "i4")})
    alone = LoadedModel(moma[1] / "1")
    joining = LoadedModel(moma[1] / "1", BatchingParameters(4, wait_s=0.001))
    runs = []
    run = joining._batcher._run_signature

    def counted(name, inputs, left_s):
        runs.append(len(inputs["length"]))
        return run(name, inputs, left_s)

    joining._batcher._run_signature = counted

    def answer(model, inputs):
        try:
            return model.run("", inputs)
        except RequestError as error:
            return error.message

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda inputs: answer(joining, inputs), requests * 3))
    assert max(runs) > 1
    for inputs, outputs in zip(requests * 3, answers, strict=True):
        expected = answer(alone, inputs)
        if isinstance(expected, str):
            assert outputs == expected
            continue
        assert outputs.keys() == expected.keys()
        for name, values in expected.items():
            if values.dtype == object:
                np.testing.assert_array_equal(outputs[name], values)
            else:
                np.testing.assert_allclose(outputs[name], values, atol=1e-5)
    alone.close()
    joining.close()
