"""Values of JSON keep their value, or are refused in TensorFlow Serving's words."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.errors import RequestError
from serving.server.rest.tensors import columns_of, inputs_of, output_arrays, predictions_of


def tensor(value, dtype):
    """Returns what a JSON text is as the only input of a signature."""
    signature = meta_graph_pb2.SignatureDef()
    signature.inputs["x"].dtype = dtype.as_datatype_enum
    return inputs_of({"inputs": json.loads(value)}, signature)[0]["x"]


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ("[[1, 2.5], [-1e3, 16777215]]", tf.float32, [[1, 2.5], [-1000, 2**24 - 1]]),
        ("3", tf.float32, 3),
        ("[]", tf.float32, []),
        ("[[], []]", tf.float32, [[], []]),
        ("[3.4028234663852886e38]", tf.float32, [np.finfo(np.float32).max]),
        ("[NaN, Infinity]", tf.float32, [np.nan, np.inf]),
        ("[9007199254740991]", tf.float64, [2**53 - 1]),
        ("[2147483647, -2147483648]", tf.int32, [2**31 - 1, -(2**31)]),
        ("[9223372036854775807]", tf.int64, [2**63 - 1]),
        ("[18446744073709551615]", tf.uint64, [2**64 - 1]),
        ("[true, false]", tf.bool, [True, False]),
        ('["a", {"b64": "YQ=="}]', tf.string, [b"a", b"a"]),
        ('[{"b64": "YQ"}, {"b64": " Y Q = ="}, {"b64": ""}]', tf.string, [b"a", b"a", b""]),
    ],
)
def test_values_keep_their_value(value, dtype, expected):
    values = tensor(value, dtype)
    assert values.dtype == dtype.as_numpy_dtype
    np.testing.assert_array_equal(values, np.array(expected, dtype.as_numpy_dtype))


@pytest.mark.parametrize(
    ("value", "dtype", "error"),
    [
        ("[true]", tf.float32, "JSON Value: true Type: True is not of expected type: float"),
        ("[0.1, false]", tf.float32, "JSON Value: false Type: False is not of expected type"),
        ("[null]", tf.float32, "JSON Value: null Type: Null is not of expected type: float"),
        ('["1"]', tf.float32, 'JSON Value: "1" Type: String is not of expected type: float'),
        ('[{"b64": "YQ=="}]', tf.float32, "Type: Object is not of expected type: float"),
        ("[1, [2]]", tf.float32, "Type: Array is not of expected type: float"),
        ("[16777216]", tf.float32, "value: 16777216 to float without loss of precision."),
        ("[3.5e38]", tf.float32, "value: 3.5e+38 to float without loss of precision."),
        ("[9007199254740992]", tf.float64, "to float64 without loss of precision."),
        ("[true]", tf.int32, "Type: True is not of expected type: int32"),
        ("[1.0]", tf.int32, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("[4294975296]", tf.int32, "JSON Value: 4294975296 Type: Number is not of expected"),
        ("[-2147483649]", tf.int32, "is not of expected type: int32"),
        ("[9223372036854775808]", tf.int64, "is not of expected type: int64"),
        ("[256]", tf.uint8, "is not of expected type: uint8"),
        ("[-1]", tf.uint64, "is not of expected type: uint64"),
        ("[1]", tf.bool, "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("[1]", tf.string, "JSON Value: 1 Type: Number is not of expected type: string"),
        ('[{"b64": "YQ*="}]', tf.string, "Unable to base64 decode"),
        ('[{"b64": "Y"}]', tf.string, "Unable to base64 decode"),
        ('[{"b64": 1}]', tf.string, "Type: Object is not of expected type: string"),
        ("[[1], [1, 2]]", tf.float32, "expected lists of 1 at depth 1"),
        ("[[1], 2]", tf.float32, "expected lists of 1 at depth 1"),
        ("[" * 80 + "]" * 80, tf.float32, "dimension"),
    ],
)
def test_other_values_are_refused(value, dtype, error):
    with pytest.raises(RequestError) as refused:
        tensor(value, dtype)
    assert refused.value.message.startswith(f"input x: not a tensor of {dtype.name}: ")
    assert error in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.float32([0.1, 1e-20, 1 / 3, 16777216]), "[0.1, 1e-20, 0.333333343, 16777216.0]"),
        (np.float64([0.1, 1 / 3, 1e300]), "[0.1, 0.3333333333333333, 1e+300]"),
        (np.float32([np.nan, np.inf, -np.inf]), "[null, null, null]"),
        (np.float32([[1], [2]]), "[[1.0], [2.0]]"),
        (np.float32(0.5), "0.5"),
        (np.zeros((0, 3), np.float32), "[]"),
        (np.int64([2**63 - 1]), "[9223372036854775807]"),
        (np.array([b"a", b"\xff"], object), '["a", "\\ufffd"]'),
        (b"a", '"a"'),
    ],
)
def test_outputs_keep_their_digits(values, text):
    assert json.dumps(columns_of(output_arrays({"x": values}))["outputs"]) == text


def test_floats_are_written_as_python_would_write_each():
    rng = np.random.default_rng(0)
    values = np.concatenate([10 ** rng.uniform(-44, 38, 2000), rng.random(2000).round(4), [0.0]])
    values = (values * rng.choice([-1, 1], len(values))).astype(np.float32)
    written = columns_of({"x": values})["outputs"]
    expected = [
        short if np.float32(short := float(f"{value:.6g}")) == value else float(f"{value:.9g}")
        for value in values
    ]
    assert written == pytest.approx(expected, rel=1e-9, abs=0)
    np.testing.assert_array_equal(np.float32(written), values)


def test_bytes_are_base_64():
    assert columns_of(output_arrays({"x_bytes": b"\xff"})) == {"outputs": {"b64": "/w=="}}


@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        ({"x": np.float32(1)}, "Tensor name: x has no shape information"),
        ({"x": np.ones(2), "y": np.float32(1)}, "Tensor name: y has no shape information"),
        (
            {"x": np.ones(2), "y": np.ones(3)},
            "Tensor name: y has inconsistent batch size: 3 expecting: 2",
        ),
    ],
)
def test_rows_are_refused_where_there_are_none(outputs, error):
    with pytest.raises(RequestError) as refused:
        predictions_of(outputs)
    assert refused.value.message == error
