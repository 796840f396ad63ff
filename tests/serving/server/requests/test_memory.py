"""All requests share a limit of bytes."""

import gc
import threading
import time

import grpc
import pytest

from serving.server.errors import RequestError
from serving.server.requests.inputs import PredictRequest
from serving.server.requests.memory import MemoryBudget
from serving.server.requests.received import COPIES, received
from tests.serving.server.requests.test_inputs import tensor

REQUEST = PredictRequest()
REQUEST.inputs["x"].ParseFromString(tensor(1, [1000], float_val=[0.5]))
DATA = REQUEST.SerializeToString()


def test_a_request_holds_its_bytes_until_it_is_answered():
    memory = MemoryBudget(10_000)
    request = received(PredictRequest, DATA, memory, 10_000)
    assert memory.taken == COPIES * len(DATA)
    assert request.arrays()["x"].shape == (1000,)
    assert memory.taken == 4000
    request.release()
    assert memory.taken == 0


def test_a_request_that_is_forgotten_holds_nothing():
    memory = MemoryBudget(10_000)
    request = received(PredictRequest, DATA, memory, 10_000)
    gc.disable()
    del request
    gc.enable()
    assert memory.taken == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (DATA, "RESOURCE_EXHAUSTED"),
        (b"\xff", "INVALID_ARGUMENT"),
        (b"\x12\x00" * 200_000, "INVALID_ARGUMENT"),
    ],
)
def test_what_is_refused_holds_nothing(data, code):
    memory = MemoryBudget(10**7 if code == "INVALID_ARGUMENT" else COPIES * len(DATA) - 1)
    request = received(PredictRequest, data, memory, 10_000)
    with pytest.raises(RequestError) as error:
        _ = request.message
    assert error.value.code is grpc.StatusCode[code]
    assert memory.taken == 0


def test_a_value_that_fills_a_tensor_needs_room_for_the_tensor():
    memory = MemoryBudget(3999)
    request = received(PredictRequest, DATA, memory, 10_000)
    with pytest.raises(RequestError, match="ask again later"):
        request.arrays()
    request.release()
    assert memory.taken == 0


def test_a_request_that_needs_more_than_there_is_waits_for_all_that_it_may_have():
    budget = MemoryBudget(100, reserve=20)
    with budget.wait_for(1000, 0.0) as share:
        assert share.size == budget.taken == 80
        with budget.take(20), pytest.raises(RequestError, match="take 100 of 100 bytes"):
            budget.take(1)
    assert budget.taken == 0


def test_requests_get_memory_in_the_order_in_which_they_came():
    budget, order, threads = MemoryBudget(100), [], []

    def ask(size):
        with budget.wait_for(size, 60.0):
            order.append(size)

    with budget.take(50):
        for waiting, size in enumerate((90, 60, 70), 1):
            threads.append(threading.Thread(target=ask, args=[size]))
            threads[-1].start()
            while len(budget._queue) < waiting:
                time.sleep(0.001)
        assert not order
    for thread in threads:
        thread.join()
    assert order == [90, 60, 70]


def test_who_has_waited_in_vain_keeps_nobody_waiting():
    budget = MemoryBudget(100)
    with budget.take(50):
        with pytest.raises(RequestError, match="busy"):
            budget.wait_for(60, 0.0)
        with budget.wait_for(50, 0.0):
            assert budget.taken == 100
    assert budget.taken == 0


def test_a_request_without_a_deadline_waits():
    budget, answered = MemoryBudget(100), threading.Event()

    def ask():
        with budget.wait_for(60, 1e12):
            answered.set()

    thread = threading.Thread(target=ask)
    with budget.take(50):
        thread.start()
        while not budget._queue:
            time.sleep(0.001)
    thread.join()
    assert answered.is_set()
