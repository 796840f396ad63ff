"""A graph runs within its share of memory and time."""

import grpc
import numpy as np
import pytest

from serving.server.errors import RequestError
from serving.server.requests.memory import MemoryBudget
from serving.server.session import LoadedModel
from serving.server.signature_function import (
    CALLERS_THREAD,
    GRAPH_COPIES,
    ONE_BY_ONE_BYTES,
    run_options,
)
from tests.serving.double import INPUTS, write_double


@pytest.fixture(scope="module")
def budget():
    return MemoryBudget(GRAPH_COPIES * 4 * ONE_BY_ONE_BYTES)


@pytest.fixture(scope="module")
def model(budget, tmp_path_factory):
    loaded = LoadedModel(write_double(tmp_path_factory.mktemp("double") / "1"), memory=budget)
    yield loaded
    loaded.close()


def test_a_graph_does_not_run_without_memory_for_it(model, budget):
    with budget.take(budget.limit), pytest.raises(RequestError, match="memory") as refused:
        model.run("serving_default", INPUTS, timeout_s=0.1)
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert model.run("serving_default", INPUTS, timeout_s=0.1)["y"] == [3.0]
    assert budget.taken == 0


def test_a_graph_that_fails_gives_its_memory_back(model, budget):
    with pytest.raises(RequestError):
        model.run("serving_default", {"x": np.array([b"text"], object)})
    assert budget.taken == 0


@pytest.mark.parametrize("size", [1, ONE_BY_ONE_BYTES // 4, ONE_BY_ONE_BYTES // 4 + 1])
def test_answers_are_the_same_however_the_operations_run(model, size):
    rows = np.arange(size, dtype=np.float32)
    np.testing.assert_array_equal(
        model._functions["serving_default"]({"x": rows}, deadline=np.inf)["y"], 2 * rows
    )


def test_large_inputs_run_in_the_thread_of_the_request_and_others_can_be_stopped():
    small, large = run_options(ONE_BY_ONE_BYTES, 5.0), run_options(ONE_BY_ONE_BYTES + 1, 5.0)
    assert (small.inter_op_thread_pool, small.timeout_in_ms) == (0, 5000)
    assert (large.inter_op_thread_pool, large.timeout_in_ms) == (CALLERS_THREAD, 0)
    with pytest.raises(RequestError, match="no time is left") as late:
        run_options(ONE_BY_ONE_BYTES + 1, 0.0)
    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
