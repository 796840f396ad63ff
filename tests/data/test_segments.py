import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.data.segments import WHOLE, Segments


def cut(segments, lengths):
    """Returns the cut features of utterances whose frames are numbered through."""
    utterances = [
        {"key": str(n), "features": np.arange(length, dtype=np.float32)[:, None] + 1000 * n}
        for n, length in enumerate(lengths)
    ]
    signature = {"key": tf.TensorSpec((), tf.string), "features": tf.TensorSpec((None, 1))}
    dataset = tf.data.Dataset.from_generator(lambda: utterances, output_signature=signature)
    return [
        (example["key"].decode(), example["features"][:, 0].tolist())
        for example in segments.cut(dataset).as_numpy_iterator()
    ]


def naive(lengths, frames, hop):
    found = []
    for number, length in enumerate(lengths):
        values = [1000.0 * number + i for i in range(length)]
        start, windows = 0, []
        while start + frames <= length:
            windows.append(values[start : start + frames])
            start += hop
        found += [(str(number), window) for window in windows or [values]]
    return found


@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    frames=st.integers(1, 12),
    hop=st.integers(1, 9),
)
def test_segments_are_the_windows_that_end_inside(lengths, frames, hop):
    segments = Segments(frames, hop)
    expected = naive(lengths, frames, hop)
    assert cut(segments, lengths) == expected
    assert sum(map(segments.count, lengths)) == len(expected)


@pytest.mark.parametrize("length", [1, 500])
def test_whole_utterances_stay_whole(length):
    assert WHOLE.count(length) == 1
    assert [len(values) for _, values in cut(WHOLE, [length])] == [length]
