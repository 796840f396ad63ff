import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.data.example import decode_example, encode_example
from ser_keras.data.record_files import frame_record, read_framed
from ser_keras.errors import SchemaError
from tests.data.test_example import row


@given(records=st.lists(st.binary(max_size=200), max_size=5))
def test_framed_records_are_a_file_that_tensorflow_reads(records, tmp_path_factory):
    import tensorflow as tf

    path = tmp_path_factory.mktemp("framed") / "records.tfrecord"
    path.write_bytes(b"".join(part for record in records for part in frame_record(record)))
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == records


@given(sizes=st.lists(st.integers(0, 50), max_size=4), name=st.text(max_size=9))
def test_records_are_read_without_tensorflow_as_they_were_written(tmp_path_factory, sizes, name):
    path = tmp_path_factory.mktemp("framed") / "part"
    rng = np.random.default_rng(0)
    written = [rng.normal(size=(frames, 3)).astype(np.float32) for frames in sizes]
    records = [encode_example(row(key=name), features) for features in written]
    path.write_bytes(b"".join(part for record in records for part in frame_record(record)))
    assert list(read_framed(path)) == records
    for record, features in zip(records, written, strict=True):
        key, values = decode_example(record)
        assert key == name
        np.testing.assert_array_equal(values, features)


@given(position=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_flipped_bit_or_a_missing_end_is_found_in_a_file_of_records(
    tmp_path_factory, position, bit
):
    path = tmp_path_factory.mktemp("framed") / "part"
    content = bytearray(b"".join(frame_record(b"x" * 100) + frame_record(b"y" * 69)))
    cut = content[: position or 1]
    content[position] ^= 1 << bit
    for damaged in (content, cut):
        # A file that ends between two records is a shorter file; its size is in the manifest.
        if len(damaged) == 116:
            continue
        path.write_bytes(damaged)
        with pytest.raises(SchemaError, match="found a damaged record before byte"):
            list(read_framed(path))
