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
    """Returns windows from the start of each utterance, the last one moved back to its end."""
    segments = []
    for number, length in enumerate(lengths):
        values = [1000.0 * number + i for i in range(length)]
        start = 0
        while start + frames < length:
            segments.append((str(number), values[start : start + frames]))
            start += hop
        segments.append((str(number), values[-frames:]))
    return segments


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    frames=st.integers(1, 12),
    data=st.data(),
)
def test_segments_hold_every_frame_of_an_utterance(lengths, frames, data):
    hop = data.draw(st.integers(1, frames))
    segments = Segments(frames, hop)
    pieces = cut(segments, lengths)
    assert pieces == naive(lengths, frames, hop)
    assert sum(map(segments.count, lengths)) == len(pieces)
    for number, length in enumerate(lengths):
        frames_in = {value for key, values in pieces if key == str(number) for value in values}
        assert frames_in == {1000.0 * number + i for i in range(length)}
    assert all(len(values) == min(frames, lengths[int(key)]) for key, values in pieces)


@pytest.mark.parametrize("length", [1, 500])
def test_whole_utterances_stay_whole(length):
    assert WHOLE.count(length) == 1
    assert [len(values) for _, values in cut(WHOLE, [length])] == [length]
