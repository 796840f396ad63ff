"""A server that stops says so to everyone who still asks."""

import threading
import time
from collections import Counter
from http.client import HTTPConnection

from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.requests.memory import MemoryBudget
from serving.server.rest.app import RestApp
from serving.server.rest.options import RestOptions
from serving.server.rest.rest_server import RestServer
from tests.serving.server.rest.raw_http import answer_on, connected, request

BODY = b'{"instances": [1]}'


class SlowManager(ModelManager):
    """Knows no model, and takes a while to find that out."""

    def lend(self, *names):
        time.sleep(0.3)
        return super().lend(*names)


def slow_server():
    app = RestApp(
        SlowManager([]),
        Metrics(lambda name: False),
        RestOptions(),
        MemoryBudget(2**20),
        max_predictions=16,
    )
    server = RestServer(app, "127.0.0.1", 0, max_predictions=16)
    server.start()
    return server


def test_no_request_is_lost_and_none_is_answered_wrongly():
    server, outcomes, refused = slow_server(), Counter(), threading.Event()

    def ask():
        connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
        while not refused.is_set():
            sent = False
            try:
                connection.connect() if connection.sock is None else None
                connection.request("POST", "/v1/models/none:predict", BODY)
                sent = True
                answer = connection.getresponse()
                answer.read()
                outcomes[answer.status, answer.getheader("Connection")] += 1
            except ConnectionRefusedError:
                refused.set()
            except OSError as error:
                outcomes["lost" if sent else "not sent", type(error).__name__] += 1
                connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    server.stop(10.0)
    for thread in threads:
        thread.join()
    assert outcomes.pop((404, None)) >= 8
    assert outcomes.pop((503, "close")) >= 8
    # Those that were being answered when the server was stopped.
    assert 0 < outcomes.pop((404, "close"), 0) <= 8
    assert not outcomes


def test_a_connection_that_was_idle_is_told_as_well():
    server = slow_server()
    with connected(server.port) as connection:
        connection.sendall(request(start="GET /v1/models/none HTTP/1.1"))
        assert answer_on(connection).status == 404
        stopping = threading.Thread(target=server.stop, args=(10.0,))
        stopping.start()
        time.sleep(0.2)
        connection.sendall(request(start="GET /v1/models/none HTTP/1.1"))
        answer = answer_on(connection)
        stopping.join()
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert answer.error == "The server is stopping; ask again later."
