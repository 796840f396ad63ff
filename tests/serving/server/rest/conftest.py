"""REST servers without models, which start in no time."""

from contextlib import contextmanager

import pytest

from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.requests.memory import MemoryBudget
from serving.server.rest.app import RestApp
from serving.server.rest.options import RestOptions
from serving.server.rest.rest_server import RestServer


@contextmanager
def rest_server(**limits):
    """A REST server that knows no model, with those options."""
    app = RestApp(
        ModelManager([]),
        Metrics(lambda name: False),
        RestOptions(**limits),
        MemoryBudget(2**20),
        max_predictions=8,
    )
    server = RestServer(app, "127.0.0.1", 0, max_predictions=8)
    server.start()
    yield server
    server.stop(5.0)


@pytest.fixture(scope="package")
def empty_server():
    with rest_server() as server:
        yield server
