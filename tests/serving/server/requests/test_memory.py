"""All requests share a limit of bytes."""

import gc

import grpc
import pytest

from serving.server.errors import RequestError
from serving.server.requests.inputs import PredictRequest
from serving.server.requests.memory import RequestMemory
from serving.server.requests.received import received
from tests.serving.server.requests.test_inputs import tensor

REQUEST = PredictRequest()
REQUEST.inputs["x"].ParseFromString(tensor(1, [1000], float_val=[0.5]))
DATA = REQUEST.SerializeToString()


def test_a_request_holds_its_bytes_until_it_is_answered():
    memory = RequestMemory(10_000)
    request = received(PredictRequest, DATA, memory, 10_000)
    assert memory.held == len(DATA)
    assert request.arrays()["x"].shape == (1000,)
    assert memory.held == 4000
    request.release()
    assert memory.held == 0


def test_a_request_that_is_forgotten_holds_nothing():
    memory = RequestMemory(10_000)
    request = received(PredictRequest, DATA, memory, 10_000)
    gc.disable()
    del request
    gc.enable()
    assert memory.held == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (DATA, "RESOURCE_EXHAUSTED"),
        (b"\xff", "INVALID_ARGUMENT"),
        (b"\x12\x00" * 200_000, "INVALID_ARGUMENT"),
    ],
)
def test_what_is_refused_holds_nothing(data, code):
    memory = RequestMemory(10**6 if code == "INVALID_ARGUMENT" else len(DATA) - 1)
    request = received(PredictRequest, data, memory, 10_000)
    with pytest.raises(RequestError) as error:
        _ = request.message
    assert error.value.code is grpc.StatusCode[code]
    assert memory.held == 0


def test_a_value_that_fills_a_tensor_needs_room_for_the_tensor():
    memory = RequestMemory(3999)
    request = received(PredictRequest, DATA, memory, 10_000)
    with pytest.raises(RequestError, match="ask again later"):
        request.arrays()
    request.release()
    assert memory.held == 0
