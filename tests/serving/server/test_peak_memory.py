"""The memory of a server in a process of its own, while it answers requests made to fill it."""

import sys
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.client import messages
from serving.client.tensors import fill_tensor
from tests.serving import exports
from tests.serving.server.test_load import ServerProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc"),
]
MIB = 2**20
LARGEST = 32 * MIB - 4096
MOST_ABOVE_REST = 500 * MIB


def request(signature="", **inputs):
    message = messages.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "moma", signature
    for name, values in inputs.items():
        fill_tensor(message.inputs[name], values)
    return message


def waves(rows, samples):
    noise = np.random.default_rng(0).normal(0, 0.1, (rows, samples)).astype(np.float32)
    return {"waveform": noise, "length": np.full(rows, samples, np.int32)}


def declared(elements):
    """Returns the request of one value that stands for many."""
    message = request(length=np.array([8000], np.int32))
    waveform = message.inputs["waveform"]
    waveform.dtype = 1
    waveform.float_val.append(0.5)
    for size in (1, elements):
        waveform.tensor_shape.dim.add(size=size)
    return message.SerializeToString()


CASES = {
    "a shape of gigabytes": lambda: declared(8 * 10**8),
    "rows of one sample": lambda: request(**waves(100_000, 1)).SerializeToString(),
    "as many rows as are taken": lambda: request(**waves(4096, 500)).SerializeToString(),
    "too long": lambda: request(**waves(1, LARGEST // 4 - 100)).SerializeToString(),
    "four times two minutes": lambda: request(**waves(4, 1_920_000)).SerializeToString(),
    "millions of inputs": lambda: b"\x12\x00" * (LARGEST // 2),
    "millions of outputs": lambda: b"\x1a\x00" * (LARGEST // 2),
    "a name of megabytes": lambda: b"\x0a\x85\x80\x80\x0f\x0a\x80\x80\x80\x0f" + b"x" * 0x1E00000,
}


def peak(process, value=None):
    """Returns the highest memory of a process since it was last reset, which a value does."""
    if value is not None:
        Path(f"/proc/{process.pid}/clear_refs").write_text(value)
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_no_request_takes_half_a_gigabyte(moma):
    running = ServerProcess(moma[1])
    try:
        with running.client() as client:
            client.wait_until_available(300)
            client.predict(exports.clips(1)[0])
        peaks = {}
        with grpc.insecure_channel(f"localhost:{running.port}") as channel:
            call = channel.unary_unary(messages.PREDICT)
            for name, make in CASES.items():
                before = peak(running.process, "5")
                code = call.future(make(), timeout=300).code().name
                peaks[name] = peak(running.process) - before
                assert code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND"), name
        assert max(peaks.values()) < MOST_ABOVE_REST, peaks
    finally:
        assert running.stop() == 0
