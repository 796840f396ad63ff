"""Live streams of speech at once: how late their answers come."""

import threading
import time

import numpy as np
from rich.progress import track

from serving.client import SerClient


def live_streams(endpoint, name, spec, stream_inputs, count=100, hops=20):
    """Returns the delays of the answers to simultaneous live streams."""
    hop_s = spec.window_hop_samples / spec.sample_rate_hz
    rng = np.random.default_rng(0)
    shape = (1, spec.window_samples)
    window = rng.uniform(-0.1, 0.1, shape).astype(np.float32)
    speech = {"waveform": window, "length": np.array([shape[1]], np.int32)}
    late, errors = [], []
    began = time.perf_counter() + 1.0

    def stream(number):
        try:
            with SerClient(endpoint, name) as client:
                state = None
                for hop in range(hops):
                    due = began + hop_s * (hop + number / count)
                    time.sleep(max(0.0, due - time.perf_counter()))
                    features = client.ask(speech, "front_end")[0]["features"][:, 0]
                    inputs = {"features": features, **(state or zeros)}
                    outputs, _ = client.ask(inputs, "stream")
                    state = {key: outputs[key] for key in zeros}
                    late.append(time.perf_counter() - due)
        except Exception as error:
            errors.append(str(error))

    zeros = {
        key: np.zeros((1, tensor.tensor_shape.dim[1].size), np.float32)
        for key, tensor in stream_inputs.items()
        if key != "features"
    }
    threads = [threading.Thread(target=stream, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in track(threads, f"{count} live streams for {hops * hop_s:.0f} s"):
        thread.join()
    return {
        "live_streams": {
            "streams": count,
            "hop_s": hop_s,
            "hops": hops,
            "answers": len(late),
            "failed": errors[:3],
            "late_p50_ms": round(1000 * float(np.percentile(late, 50)), 1),
            "late_p99_ms": round(1000 * float(np.percentile(late, 99)), 1),
        }
    }
