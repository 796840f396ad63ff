import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.layers.window_statistics import WindowStatistics


def windows_of(frames, window, hop):
    """The plain way: cut, describe, until a window holds the last frame."""
    rows, start = [], 0
    while True:
        piece = frames[start : start + window]
        rows.append(np.concatenate([piece.mean(axis=0), piece.std(axis=0)]))
        if start + window >= len(frames):
            return np.array(rows)
        start += hop


def described(utterances, window, hop, extra=0):
    frames = max(map(len, utterances)) + extra
    inputs = np.full((len(utterances), frames, utterances[0].shape[1]), np.nan, "float32")
    for row, utterance in zip(inputs, utterances, strict=True):
        row[: len(utterance)] = utterance
    mask = np.arange(frames)[None] < np.array([[len(u)] for u in utterances])
    outputs = WindowStatistics(window, hop)(inputs, mask=mask)
    return [keras.ops.convert_to_numpy(output) for output in outputs]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    window=st.integers(1, 12),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_windows_are_those_of_each_utterance_alone(lengths, window, data):
    hop = data.draw(st.integers(1, window))
    rng = np.random.default_rng(sum(lengths))
    utterances = [rng.normal(size=(length, 2)).astype("float32") for length in lengths]
    statistics, mask = described(utterances, window, hop, extra=data.draw(st.integers(0, 5)))
    for row, real, utterance in zip(statistics, mask, utterances, strict=True):
        expected = windows_of(utterance, window, hop)
        assert real.sum() == len(expected)
        assert real[: len(expected)].all()
        # The root of a variance of rounding errors is not that small.
        np.testing.assert_allclose(row[real], expected, atol=2e-3)


def test_an_utterance_shorter_than_a_window_is_one():
    statistics, mask = described([np.array([[1.0], [3.0]])], window=50, hop=25)
    assert mask.tolist() == [[True]]
    assert statistics[0, 0].tolist() == pytest.approx([2.0, 1.0])
