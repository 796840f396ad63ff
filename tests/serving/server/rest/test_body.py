"""How large the JSON of a request may be, and in which order requests get memory for it."""

import io
import json
import threading

import pytest

from serving.server.errors import RequestError
from serving.server.requests.memory import MemoryBudget
from serving.server.rest.body import MAX_LISTS, MAX_VALUES, json_of
from serving.server.rest.options import RestOptions
from serving.server.server import ServerOptions

MIB = 2**20
LIMIT = ServerOptions().memory_bytes // 4


def parsed(text, *, encoding="", budget=None, wait_s=0.0):
    options = RestOptions()
    return json_of(
        io.BytesIO(text),
        encoding,
        max_bytes=options.max_body_bytes,
        budget=budget or MemoryBudget(LIMIT),
        wait_s=wait_s,
    )


def test_half_a_minute_of_speech_with_all_digits_is_small_enough():
    numbers = [-0.10000000149011612] * 16_000 * 30
    text = json.dumps({"inputs": {"waveform": [numbers], "length": [len(numbers)]}}).encode()
    with parsed(text) as (body, share):
        assert body["inputs"]["waveform"] == [numbers]
        assert share.size < LIMIT / 4


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        (b'{"instances": [' + b"1," * (MAX_VALUES + 1) + b"1]}", 413, "commas"),
        (b'{"instances": [' + b"[]" * (MAX_LISTS + 1) + b"]}", 413, "arrays and objects"),
        (b'{"instances": [' + b"{}" * (MAX_LISTS + 1) + b"]}", 413, "arrays and objects"),
        (b" " * (RestOptions().max_body_bytes + 1), 413, "more than 12582912 bytes"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "recursion limit exceeded"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "recursion limit exceeded"),
        (b'{"a": ' + b"1" * 100_000 + b"}", 400, "number out of range"),
        (b'{"a": "\xff"}', 400, "JSON Parse error"),
        (b"", 400, "The document is empty"),
        (b"null", 400, "not an object"),
    ],
    ids=range(10),
)
def test_what_would_take_too_much_is_refused(text, status, error):
    with pytest.raises(RequestError) as refused, parsed(text):
        pass
    assert refused.value.http_status == status
    assert error in refused.value.message


@pytest.mark.parametrize("entry", [b"0.1,", b"[],", b'{"":0},', b'"a",', b"[0.1,0.2],"])
def test_the_memory_of_json_is_estimated_high_enough(entry):
    import tracemalloc

    count = min(MAX_VALUES // entry.count(b","), 100_000)
    text = b'{"a": [' + count * entry + b"0]}"
    tracemalloc.start()
    with parsed(text) as (_, share):
        size, (_, peak) = share.size, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size < 10 * peak


def test_requests_wait_for_memory_and_give_it_back():
    budget = MemoryBudget(2 * MIB)
    text = b'{"a": "' + b"x" * (MIB // 3) + b'"}'
    order = []
    with parsed(text, budget=budget) as (_, share):
        with pytest.raises(RequestError, match="busy"), parsed(text, budget=budget):
            pass

        def wait():
            with parsed(text, budget=budget, wait_s=20.0):
                order.append("second")

        thread = threading.Thread(target=wait)
        thread.start()
        order.append("first")
        share.resize(1000)
        thread.join()
    assert order == ["first", "second"]
    assert budget.taken == 0
