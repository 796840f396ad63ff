"""Warm-up requests, which a server answers before it takes any others.

TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests` when it loads a version. It
optimises graphs and allocates buffers at the first run of each signature and batch size; without a
warm-up, the first users of every new version would wait for this.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ser_keras.data.record_files import read_framed
from serving.export.layout import errors_of_files

FILE = "tf_serving_warmup_requests"
BATCH_SIZES = (1, 2, 8)


def warmup_inputs(
    sample_rate_hz: int,
    dim: int,
    stream: Mapping[str, tuple[tuple[int, ...], str]],
    statistics: Mapping[str, np.ndarray],
    seconds: float = 1.0,
) -> dict[str, list[dict[str, np.ndarray]]]:
    """Returns the inputs to replay, by signature: one for each batch size.

    `explain` has only batch size 1: a version is not ready before all of them have run, and a first
    explanation may be slow.

    Args:
        sample_rate_hz: int. Of the waveforms.
        dim: int. Values per frame of the features.
        stream: mapping of input name to (shape without the batch, type) of one step of a stream;
            empty for a model without one.
        statistics: mapping of input name to a row (1, ...) of what describes a speaker, for the
            signatures of the adapted track; empty for a model without one.
        seconds: float. Length of the noise.
    """
    rng = np.random.default_rng(0)
    samples = round(seconds * sample_rate_hz)
    inputs: dict[str, list[dict[str, np.ndarray]]] = {}
    for size in BATCH_SIZES:
        waveform = rng.uniform(-0.1, 0.1, (size, samples)).astype(np.float32)
        length = np.full(size, samples, np.int32)
        wav = [tf.audio.encode_wav(row[:, None], sample_rate_hz).numpy() for row in waveform]
        features = rng.normal(size=(size, 100, dim)).astype(np.float32)
        frames = np.full(size, 100, np.int32)
        batches = {
            "serving_default": {"waveform": waveform, "length": length},
            "explain": {"waveform": waveform, "length": length},
            "front_end": {"waveform": waveform, "length": length},
            "wav_bytes": {"wav": np.array(wav, object)},
            "features": {"features": features, "frames": frames},
        }
        if stream:
            start = {name: np.zeros((size, *shape), kind) for name, (shape, kind) in stream.items()}
            start["features"] = rng.normal(size=start["features"].shape).astype(np.float32)
            if "frames" in start:
                start["frames"][:] = start["features"].shape[1]
            batches["stream"] = start
            silent = np.full(size, -1000, np.float32)
            batches["stream_front_end"] = batches["front_end"] | {"loudest_db": silent}
        if statistics:
            speaker = {name: np.repeat(row, size, axis=0) for name, row in statistics.items()}
            batches["enrol"] = batches["front_end"]
            batches["adapted"] = batches["front_end"] | speaker
            # Of an ensemble each member has statistics, whose names begin with its number.
            first = {
                name: row
                for name, row in speaker.items()
                if not name.endswith("embedding_statistics")
            }
            batches["enrol_embedding"] = batches["front_end"] | first
        for signature, batch in batches.items():
            if size == 1 or signature != "explain":
                inputs.setdefault(signature, []).append(batch)
    return inputs


def write_warmup(
    version: Path, model_name: str, inputs: Mapping[str, list[dict[str, np.ndarray]]]
) -> None:
    """Writes the warm-up file into the folder of a version.

    Raises:
        ModuleNotFoundError: the extra `serve` is not installed.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    path = version / "assets.extra" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with errors_of_files(), tf.io.TFRecordWriter(str(path)) as writer:
        for signature, batches in inputs.items():
            for batch in batches:
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                for name, values in batch.items():
                    request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
                writer.write(log.SerializeToString())


def read_warmup(version: Path) -> list[Any]:
    """Returns the `PredictRequest`s of a version's warm-up file; none if there is no file."""
    path = version / "assets.extra" / FILE
    if not path.exists():
        return []
    from tensorflow_serving.apis import prediction_log_pb2

    logs = map(prediction_log_pb2.PredictionLog.FromString, read_framed(path))
    return [log.predict_log.request for log in logs]
