import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.data.schema import (
    TEXT_KEYS,
    Schema,
    decode_example,
    encode_example,
    frame_record,
    parse_example,
    read_framed,
)
from ser_keras.errors import SchemaError

SCHEMA = Schema({"kind": "logmel"}, "logmel40", 40, "emodb", "emodb-2s", ("sad",), ("emodb4",))


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
    said = row(sentence=text, duration_s=duration_s)
    expected = tensorflow_example(said, features).SerializeToString(deterministic=True)
    assert encode_example(said, features) == expected


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
    said = row(key=b"emodb/\xff\xfe".decode("utf-8", "surrogateescape"))
    parsed = parse_example(encode_example(said, np.zeros((1, 1), np.float32)))
    assert parsed["key"].numpy() == b"emodb/\xff\xfe"


@given(records=st.lists(st.binary(max_size=200), max_size=5))
def test_framed_records_are_a_file_that_tensorflow_reads(records, tmp_path_factory):
    import tensorflow as tf

    path = tmp_path_factory.mktemp("framed") / "records.tfrecord"
    path.write_bytes(b"".join(part for record in records for part in frame_record(record)))
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == records


def test_writing_does_not_import_tensorflow():
    code = (
        "import sys, numpy, types\n"
        "from ser_keras.data import feature_set, schema\n"
        f"row = types.SimpleNamespace(duration_s=1.0, **dict.fromkeys({TEXT_KEYS!r}, 'x'))\n"
        "schema.encode_example(row, numpy.zeros((2, 2), 'f4'))\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_schema_survives_its_file():
    assert Schema.from_json(SCHEMA.to_json(), "here") == SCHEMA


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "no JSON"),
        ("[]", "list"),
        ("{}", r"found \[\]"),
        (SCHEMA.to_json().replace('"dim"', '"dims"'), "'dims'"),
    ],
)
def test_a_damaged_schema_is_named_with_a_remedy(text, found):
    with pytest.raises(SchemaError, match=rf"(?s)^a/schema.json: .*{found}.*`ser features`"):
        Schema.from_json(text, "a/schema.json")


@given(sizes=st.lists(st.integers(0, 50), max_size=4), name=st.text(max_size=9))
def test_records_are_read_without_tensorflow_as_they_were_written(tmp_path_factory, sizes, name):
    path = tmp_path_factory.mktemp("framed") / "part"
    rng = np.random.default_rng(0)
    written = [rng.normal(size=(frames, 3)).astype(np.float32) for frames in sizes]
    records = [encode_example(row(key=name), features) for features in written]
    path.write_bytes(b"".join(part for record in records for part in frame_record(record)))
    assert list(read_framed(path)) == records
    for record, features in zip(records, written, strict=True):
        found, values = decode_example(record)
        assert found == name
        np.testing.assert_array_equal(values, features)


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_flipped_bit_or_a_missing_end_is_found_in_a_file_of_records(tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("framed") / "part"
    content = bytearray(b"".join(frame_record(b"x" * 100) + frame_record(b"y" * 69)))
    cut = content[: place or 1]
    content[place] ^= 1 << bit
    for damaged in (content, cut):
        # A file that ends between two records is a shorter file; its size is in the manifest.
        if len(damaged) == 116:
            continue
        path.write_bytes(damaged)
        with pytest.raises(SchemaError, match="found a damaged record before byte"):
            list(read_framed(path))
