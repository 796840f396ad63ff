"""A large batch runs in parts, with the answers of the whole."""

import numpy as np
import pytest

from serving.server.errors import RequestError
from serving.server.requests.large_batches import MAX_ROWS, PART_BYTES, PART_ROWS, run_in_parts


def graph(sizes):
    """Returns a graph whose map is as long as the longest row; it notes the rows of each run."""

    def run(inputs):
        length = inputs["length"]
        sizes.append(len(length))
        steps = np.arange(length.max())[None]
        return {
            "sum": inputs["waveform"].sum(axis=1),
            "label": np.array([b"%d" % n for n in length], object),
            "attention": np.where(steps < length[:, None], 1.0 + steps, 0.0),
        }

    return run


def batch(rows, samples):
    rng = np.random.default_rng(rows)
    length = rng.integers(1, samples + 1, rows).astype(np.int32)
    return {"waveform": rng.normal(size=(rows, samples)).astype(np.float32), "length": length}


@pytest.mark.parametrize(("rows", "samples"), [(1, 9), (64, 9), (65, 9), (400, 3), (9, 300_000)])
def test_the_answers_are_those_of_the_whole(rows, samples):
    inputs, sizes = batch(rows, samples), []
    parts = run_in_parts(inputs, graph(sizes))
    whole = graph([])(inputs)
    assert sum(sizes) == rows
    assert max(sizes) <= PART_ROWS
    assert max(sizes) * samples * 4 <= max(PART_BYTES, samples * 4)
    for name, values in whole.items():
        assert parts[name].dtype == values.dtype
        np.testing.assert_array_equal(parts[name], values)


def test_short_texts_are_not_run_beside_a_long_one_that_they_would_be_padded_to():
    sizes = []

    def run(inputs):
        sizes.append(len(inputs["wav"]) * max(map(len, inputs["wav"])))
        return {"size": np.array([len(text) for text in inputs["wav"]])}

    wav = np.array([b"x" * 2**20, *[b""] * 60, b"x" * 2**20], object)
    answers = run_in_parts({"wav": wav}, run)
    assert answers["size"].tolist() == [2**20, *[0] * 60, 2**20]
    assert len(sizes) > 1
    assert 2 * max(sizes) <= PART_BYTES


def test_more_rows_than_a_server_takes_are_refused_in_its_words():
    with pytest.raises(RequestError, match="Task size 4097 is larger than maximum input batch siz"):
        run_in_parts(batch(MAX_ROWS + 1, 1), graph([]))


@pytest.mark.parametrize("length", [np.ones(1, np.int32), np.ones((), np.int32)])
def test_a_large_batch_beside_another_number_of_rows_is_refused(length):
    inputs = batch(65, 1) | {"length": length}
    with pytest.raises(RequestError, match="must have equal 0th-dimension size"):
        run_in_parts(inputs, graph([]))


def test_small_inputs_that_are_no_batch_are_left_to_the_graph():
    odd = [
        {"x": np.zeros(())},
        {"x": np.array(b"text", object)},
        {"x": np.zeros((9, 2)), "y": np.zeros(8)},
        {"x": np.zeros((0, 5))},
        {},
    ]
    for inputs in odd:
        assert run_in_parts(inputs, lambda values: values) is inputs
