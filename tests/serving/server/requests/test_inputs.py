"""What a request declares is checked before memory is taken for it."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from serving.client.message_classes import parsed
from serving.server.errors import RequestError
from serving.server.requests.inputs import PredictRequest, input_arrays

LIMIT = 2**20


def request_of(**tensors):
    request = PredictRequest()
    for name, tensor in tensors.items():
        request.inputs[name].ParseFromString(tensor)
    return request


def tensor(dtype, shape, **fields):
    """Returns the bytes of a TensorProto."""
    message = tf.make_tensor_proto(0).__class__(dtype=dtype, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message.SerializeToString()


def varint(number):
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def refusal(data, limit=LIMIT):
    tracemalloc.start()
    with pytest.raises(RequestError) as error:
        input_arrays(request_of(x=data).inputs, limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.value.code.name == "INVALID_ARGUMENT"
    assert peak < LIMIT
    return error.value.message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            tensor(1, [1, 3_000_000_000], float_val=[0.5]),
            "tensor parsing error: x: Shape [1,3000000000] is too large (more than 262144 entries)",
        ),
        (tensor(3, [3_000_000_000], int_val=[8000]), "is too large"),
        (tensor(10, [2**21], bool_val=[True]), "is too large"),
        (tensor(7, [2**15], string_val=[b""]), "is too large"),
        (tensor(7, [64], string_val=[b"x" * 2**15]), "texts of 2101248 bytes are too large"),
        (tensor(19, [2**20], half_val=[0]), "is too large"),
        (tensor(8, [2**18], scomplex_val=[0.0, 0.0]), "is too large"),
        (tensor(18, [2**17], dcomplex_val=[0.0, 0.0]), "is too large"),
        (tensor(23, [2**18], uint64_val=[1]), "is too large"),
        (tensor(1, [2**62, 2**62], float_val=[0.5]), "is too large"),
        (tensor(1, [-1, 4], float_val=[0.5] * 4), "Shape [-1,4] is not fully defined"),
        (tensor(1, [-(2**62), 2], float_val=[0.5]), "is not fully defined"),
        (tensor(1, [1] * 300, float_val=[0.5]), "Shape [1,1,1,1,1,1,1,1,...] has too many dim"),
        (tensor(1, [2], float_val=[0.5] * 3), "float_val has 3 values, the shape has 2 elements"),
        (tensor(7, [1], string_val=[b"a", b"b"]), "string_val has 2 values"),
        (tensor(1, [3], tensor_content=b"\0" * 8), "cannot reshape array of size 2"),
        (tensor(1, [2], tensor_content=b"\0" * 7), "buffer size must be a multiple"),
        (tensor(6, [1], int_val=[300]), "int_val holds 300, which is no int8"),
        (tensor(19, [1], half_val=[70000]), "half_val holds 70000, which is no uint16"),
        (tensor(99, [1], int_val=[1]), "99"),
        (tensor(20, [1]), "a tensor of resource cannot be sent"),
    ],
)
def test_a_shape_that_is_too_large_or_does_not_fit_is_refused_at_once(data, message):
    assert message in refusal(data)


def test_a_number_of_more_than_32_bits_does_not_lose_its_upper_half():
    # What a parser of int32 would read as 8000.
    data = b"\x08\x03" + b"\x12\x04\x12\x02\x08\x01" + b"\x3a\x05" + varint(2**32 + 8000)
    assert "int_val holds 4294975296, which is no int32" in refusal(data)
    data = tensor(3, [1], int_val=[-8000])
    assert input_arrays(request_of(x=data).inputs, LIMIT)["x"].tolist() == [-8000]


def test_all_inputs_share_the_limit():
    quarter = tensor(1, [LIMIT // 16], float_val=[0.5])
    inputs = request_of(a=quarter, b=quarter, c=quarter, d=quarter).inputs
    assert sum(values.nbytes for values in input_arrays(inputs, LIMIT).values()) == LIMIT
    with pytest.raises(RequestError, match="is too large"):
        input_arrays(inputs, LIMIT - 1)


@given(
    dtype=st.sampled_from(
        [
            *(np.float16, np.float32, np.float64, np.complex64, np.complex128, np.bool_),
            *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
        ]
    ),
    shape=st.lists(st.integers(0, 3), max_size=3),
    content=st.booleans(),
)
def test_tensors_of_every_type_are_read_as_tensorflow_reads_them(dtype, shape, content):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    proto = tf.make_tensor_proto(values)
    typed = tf.make_tensor_proto(values.ravel().tolist(), dtype=dtype, shape=shape)
    data = (proto if content else typed).SerializeToString()
    array = input_arrays(request_of(x=data).inputs, LIMIT)["x"]
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize(
    "data",
    [
        b"\x12\x00" * 200_000,  # inputs without name and tensor
        b"\x12\x08\x12\x06" + b"\x12\x04" + b"\x12\x02\x08\x01" + b"\x1a\x00" * 200_000,  # outputs
        b"\x12" + varint(400_000) + b"\x12\x00" * 200_000,  # tensors
    ],
)
def test_a_message_of_many_parts_is_refused_unparsed(data):
    with pytest.raises(ValueError, match="more than 100000 fields"):
        parsed(PredictRequest, data)


def test_a_list_of_more_numbers_than_an_array_has_is_refused_unparsed():
    def nested(size):
        numbers = b"\x3a" + varint(size) + b"\x01" * size
        value = b"\x12" + varint(len(numbers)) + numbers
        return b"\x12" + varint(len(value)) + value

    with pytest.raises(ValueError, match="int_val: found 1001 numbers, expected at most 1000"):
        parsed(PredictRequest, nested(1001), most_bytes=4000)
    assert len(parsed(PredictRequest, nested(1000), most_bytes=4000).inputs[""].int_val) == 1000


@given(data=st.binary(max_size=60))
def test_what_is_no_message_is_left_to_the_parser(data):
    from google.protobuf.message import DecodeError

    try:
        expected = PredictRequest.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            parsed(PredictRequest, data)
    else:
        assert parsed(PredictRequest, data) == expected
