"""The memory of a server in a process of its own, while it answers requests made to fill it."""

import base64
import http.client
import io
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import soundfile

from serving.client import messages
from serving.client.tensors import fill_tensor
from serving.ready import NAME, ready_model
from tests.serving import exports
from tests.serving.server.processes import ServerProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc"),
]
MIB = 2**20
LARGEST = 32 * MIB - 4096
# Above the memory of a server at rest, in bytes: of one request, and of a hundred at once.
MOST_OF_ONE, MOST_OF_ALL = 500 * 10**6, 2 * 10**9
# As many calls as a server accepts at once, and seconds after which their clients leave.
AT_ONCE, PATIENCE_S = 96, 30
LONGEST = 120 * exports.RATE


def request(model, signature="", **inputs):
    message = messages.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = model, signature
    for name, values in inputs.items():
        fill_tensor(message.inputs[name], values)
    return message


def waves(model, rows, samples):
    noise = np.random.default_rng(0).normal(0, 0.1, (rows, samples)).astype(np.float32)
    length = np.full(rows, samples, np.int32)
    return request(model, waveform=noise, length=length).SerializeToString()


def declared(model, elements):
    """Returns the request of one value that stands for many."""
    message = request(model, length=np.array([8000], np.int32))
    waveform = message.inputs["waveform"]
    waveform.dtype = 1
    waveform.float_val.append(0.5)
    for size in (1, elements):
        waveform.tensor_shape.dim.add(size=size)
    return message.SerializeToString()


CASES = {
    "a shape of gigabytes": lambda model: declared(model, 8 * 10**8),
    "rows of one sample": lambda model: waves(model, 100_000, 1),
    "as many rows as are taken": lambda model: waves(model, 4096, 500),
    "too long": lambda model: waves(model, 1, LARGEST // 4 - 100),
    "four times two minutes": lambda model: waves(model, 4, LONGEST),
    "millions of inputs": lambda model: b"\x12\x00" * (LARGEST // 2),
    "millions of outputs": lambda model: b"\x1a\x00" * (LARGEST // 2),
    "a name of megabytes": lambda model: (
        b"\x0a\x85\x80\x80\x0f\x0a\x80\x80\x80\x0f" + b"x" * 0x1E00000
    ),
}


def files_in_json(files):
    """Returns the body of a REST request with recordings of two minutes."""
    noise, file = np.random.default_rng(0).normal(0, 0.1, LONGEST), io.BytesIO()
    soundfile.write(file, noise, exports.RATE, "PCM_16", format="WAV")
    text = base64.b64encode(file.getvalue()).decode()
    return json.dumps({"signature_name": "wav_bytes", "inputs": [{"b64": text}] * files}).encode()


def numbers_in_json():
    """Returns the body of a REST request with one waveform of two minutes, short of a second."""
    noise = np.random.default_rng(0).normal(0, 0.1, LONGEST - exports.RATE).round(4)
    return json.dumps({"inputs": {"waveform": [noise.tolist()], "length": [noise.size]}}).encode()


def status(running, body):
    """Returns the status of a prediction over REST."""
    connection = http.client.HTTPConnection("localhost", running.rest_port, timeout=600)
    try:
        connection.request("POST", f"/v1/models/{running.model}:predict", body)
        return connection.getresponse().status
    except OSError:
        # Refused before the whole body was read.
        return 503
    finally:
        connection.close()


def peak(process, value=None):
    """Returns the highest memory of a process since it was last reset, which a value does."""
    if value is not None:
        Path(f"/proc/{process.pid}/clear_refs").write_text(value)
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.fixture(params=["moma", NAME])
def running(request, moma):
    """A server of a small model, or of the ensemble that comes along."""
    folder = moma[1] if request.param == "moma" else ready_model()
    options = ("--rest-body-mib", 32, "--rest_api_timeout_in_ms", 1000 * PATIENCE_S)
    server = ServerProcess(folder, *options, model=request.param)
    try:
        with server.client() as client:
            client.wait_until_available(300)
            for clip in exports.clips(3):
                client.predict(clip)
        yield server
    finally:
        assert server.stop() == 0


def test_no_request_takes_half_a_gigabyte(running):
    peaks = {}
    with grpc.insecure_channel(f"localhost:{running.port}") as channel:
        call = channel.unary_unary(messages.PREDICT)
        for name, make in CASES.items():
            rest = peak(running.process, "5")
            code = call.future(make(running.model), timeout=300).code().name
            peaks[name] = peak(running.process) - rest
            assert code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND"), name
    for name, body in (("files", files_in_json(6)), ("numbers", numbers_in_json())):
        rest = peak(running.process, "5")
        assert status(running, body) == 200, name
        peaks[name] = peak(running.process) - rest
    assert max(peaks.values()) < MOST_OF_ONE, peaks


@pytest.mark.parametrize("running", [NAME], indirect=True)
def test_a_hundred_large_requests_at_once_take_less_than_two_gigabytes(running):
    rest = running.memory()
    data, body = waves(running.model, 4, LONGEST), files_in_json(6)

    def answered(number):
        if number % 4 == 0:
            return status(running, body)
        # A channel of its own is a client of its own.
        with grpc.insecure_channel(f"localhost:{running.port}") as channel:
            call = channel.unary_unary(messages.PREDICT)
            return call.future(data, timeout=PATIENCE_S).code().name

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = Counter(pool.map(answered, range(AT_ONCE)))
    refusals = {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", 429, 503, 504}
    assert set(outcomes) <= {"OK", 200, *refusals}, outcomes
    assert peak(running.process) - rest < MOST_OF_ALL
    with running.client() as client:
        assert client.predict(exports.clips(1)[0]).label
