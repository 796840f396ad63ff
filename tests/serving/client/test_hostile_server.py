"""A server's answer does not make the client take memory that was not sent."""

from concurrent import futures

import grpc
import numpy as np
import pytest

from serving.client.connection import ModelConnection, ServerError
from serving.client.messages import PredictResponse
from serving.client.tensors import fill_tensor


@pytest.fixture
def answering():
    """Returns a function from the bytes of an answer to what a client makes of it."""
    servers = []

    def ask(data):
        server = grpc.server(futures.ThreadPoolExecutor(1))
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: data)
        service = "tensorflow.serving.PredictionService"
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"Predict": handler})]
        )
        port = server.add_insecure_port("localhost:0")
        server.start()
        servers.append(server)
        with ModelConnection(f"localhost:{port}", "moma") as connection:
            return connection.ask({"x": np.zeros(1, np.float32)})[0]

    yield ask
    for server in servers:
        server.stop(None)


def answer(shape, *values):
    response = PredictResponse()
    for number, value in enumerate(values):
        tensor = response.outputs[f"y{number}"]
        tensor.dtype = 1
        tensor.float_val.append(value)
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
    return response.SerializeToString()


def test_a_good_answer_is_read(answering):
    response = PredictResponse()
    fill_tensor(response.outputs["y"], np.arange(3, dtype=np.int32))
    assert answering(response.SerializeToString())["y"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (answer([1, 3_000_000_000], 0.5), "y0: Shape [1,3000000000] is too large"),
        (answer([-1], 0.5), "y0: Shape [-1] is not fully defined"),
        (answer([9_000_000], 0.5, 0.5), ": Shape [9000000] is too large"),
        (b"\x0a\x00" * 200_000, "Exception deserializing response"),
    ],
    # A message's bytes are no name: the order of its map differs from process to process.
    ids=["longer than it may be", "of unknown length", "too long in sum", "no message"],
)
def test_a_hostile_one_is_refused(answering, data, message):
    with pytest.raises(ServerError) as error:
        answering(data)
    assert message in str(error.value)
