import subprocess
import sys
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.data.example import TEXT_KEYS, encode_example
from ser_keras.data.example_graph import parse_example


def row(**changes):
    values = {name: f"{name}/ä" for name in TEXT_KEYS} | {"duration_s": 1.25} | changes
    return SimpleNamespace(**values)


def tensorflow_example(row, features):
    """The same record made with TensorFlow's own classes."""
    import tensorflow as tf

    def of_bytes(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    feature = {name: of_bytes(getattr(row, name).encode()) for name in TEXT_KEYS}
    feature["features"] = of_bytes(features.tobytes())
    feature["shape"] = tf.train.Feature(int64_list=tf.train.Int64List(value=features.shape))
    feature["duration_s"] = tf.train.Feature(float_list=tf.train.FloatList(value=[row.duration_s]))
    return tf.train.Example(features=tf.train.Features(feature=feature))


@given(
    frames=st.integers(0, 40),
    dim=st.integers(1, 9),
    seed=st.integers(0, 99),
    text=st.text(st.characters(codec="utf-8"), max_size=30),
    duration_s=st.floats(0, 600, width=32),
)
def test_a_record_is_byte_for_byte_what_tensorflow_writes(frames, dim, seed, text, duration_s):
    features = np.random.default_rng(seed).standard_normal((frames, dim)).astype(np.float32)
    record = row(sentence=text, duration_s=duration_s)
    expected = tensorflow_example(record, features).SerializeToString(deterministic=True)
    assert encode_example(record, features) == expected


def test_a_record_comes_back_as_it_went_in():
    features = np.random.default_rng(0).standard_normal((17, 5)).astype(np.float32)
    parsed = parse_example(encode_example(row(), features))
    np.testing.assert_array_equal(parsed.pop("features").numpy(), features)
    assert parsed.pop("duration_s").numpy() == 1.25
    assert {name: value.numpy().decode() for name, value in parsed.items()} == {
        name: f"{name}/ä" for name in TEXT_KEYS
    }


def test_features_in_another_memory_order_are_stored_by_rows():
    features = np.arange(6, dtype=np.float64).reshape(2, 3).T
    parsed = parse_example(encode_example(row(), features))
    np.testing.assert_array_equal(parsed["features"].numpy(), [[0, 3], [1, 4], [2, 5]])


def test_a_name_that_is_not_utf8_keeps_its_bytes():
    record = row(key=b"emodb/\xff\xfe".decode("utf-8", "surrogateescape"))
    parsed = parse_example(encode_example(record, np.zeros((1, 1), np.float32)))
    assert parsed["key"].numpy() == b"emodb/\xff\xfe"


def test_writing_does_not_import_tensorflow():
    code = (
        "import sys, numpy, types\n"
        "from ser_keras.data import example\n"
        f"row = types.SimpleNamespace(duration_s=1.0, **dict.fromkeys({TEXT_KEYS!r}, 'x'))\n"
        "example.encode_example(row, numpy.zeros((2, 2), 'f4'))\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
