"""Each kind of feature computed inside a graph, of a padded batch: the twins of `spec.compute`.

`TWINS` is their table. They use the windows, filters and transforms of `frames`, `mel` and `mfcc`.
"""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from ser_keras.features.frames import FrameSpec, window
from ser_keras.features.graph_prosody import prosody
from ser_keras.features.kinds.logmel import LogMelSpec
from ser_keras.features.kinds.mfcc import MfccSpec, dct_matrix
from ser_keras.features.kinds.mfcc_windows import MfccWindowsSpec
from ser_keras.features.kinds.spectrogram import SpectrogramSpec
from ser_keras.features.mel import DELTA_FRAMES, MelSpec, delta_kernel, mel_matrix

# From spec, pieces (batch, rows, `spec.vector_samples`), rows (batch,) that are real, and the
# loudest mel level of the recording so far (batch,) or None, to features (batch, rows, dim) and
# that level.
Twin = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def first(count: Any, size: Any) -> Any:
    """Returns bool (batch, size), True for the first `count` of each row."""
    return ops.arange(size)[None] < ops.cast(count, "int32")[:, None]


def spectrogram(spec: SpectrogramSpec, frames: Any, count: Any, loudest_db: Any) -> tuple[Any, Any]:
    """Returns the spectrogram, and the level unchanged."""
    del count
    if spec.scale == "magnitude":
        features = ops.sqrt(_power(spec, frames, "float32")[..., : spec.num_bins])
    else:
        power = _power(spec, frames, "float64")[..., : spec.num_bins]
        features = _decibels(power, spec.floor)
    return features, loudest_db


def logmel(spec: LogMelSpec, frames: Any, count: Any, loudest_db: Any) -> tuple[Any, Any]:
    """Returns the log-mel energies and their derivatives, and the level unchanged."""
    static = ops.log(ops.maximum(_mel(spec, frames), spec.floor))
    return _with_deltas(spec, static, count), loudest_db


def mfcc(spec: MfccSpec, frames: Any, count: Any, loudest_db: Any) -> tuple[Any, Any]:
    """Returns the MFCC and their derivatives, and the level that `top_db` was counted from."""
    decibels = _decibels(_mel(spec, frames), spec.floor)
    # The maximum is the utterance's own, not the padding's.
    real = first(count, ops.shape(frames)[1])[..., None]
    loudest = ops.max(ops.where(real, decibels, -math.inf), axis=(1, 2), keepdims=True)
    if loudest_db is not None:
        # Below this nothing is raised, so that to become louder changes nothing either.
        loudest = ops.maximum(loudest, 10.0 * math.log10(spec.floor) + spec.top_db)
        loudest = ops.maximum(loudest, ops.cast(loudest_db, "float64")[:, None, None])
        loudest_db = ops.cast(loudest[:, 0, 0], "float32")
    cosines = ops.convert_to_tensor(dct_matrix(spec), "float64")
    static = ops.matmul(ops.maximum(decibels, loudest - spec.top_db), cosines)
    return _with_deltas(spec, static, count), loudest_db


def mfcc_windows(
    spec: MfccWindowsSpec, windows: Any, count: Any, loudest_db: Any
) -> tuple[Any, Any]:
    """Returns one vector of each window, and the level unchanged."""
    del count
    frames = ops.extract_sequences(windows, spec.frame_samples, spec.hop_samples)
    shape = ops.shape(frames)
    # Every window is an utterance of its own, all of whose frames are real.
    frames = ops.reshape(frames, (-1, *frames.shape[2:]))
    frames_in_window = ops.full(ops.shape(frames)[:1], frames.shape[1], "int32")
    values, _ = mfcc(spec, frames, frames_in_window, None)
    if spec.statistics == "frames":
        vectors = ops.reshape(values, (-1, spec.dim))
    elif spec.statistics == "mean":
        vectors = ops.mean(values, axis=1)
    else:
        vectors = ops.concatenate([ops.mean(values, axis=1), ops.std(values, axis=1)], axis=-1)
    return ops.reshape(vectors, (shape[0], shape[1], spec.dim)), loudest_db


TWINS: dict[str, Twin] = {
    "logmel": logmel,
    "mfcc": mfcc,
    "mfcc_windows": mfcc_windows,
    "prosody": prosody,
    "spectrogram": spectrogram,
}


def _power(spec: FrameSpec, frames: Any, dtype: str) -> Any:
    """Returns |X|^2 of every frame, (batch, frames, fft_points // 2 + 1)."""
    windowed = ops.cast(frames, dtype) * ops.convert_to_tensor(window(spec), dtype)
    real, imaginary = ops.rfft(windowed, fft_length=spec.fft_points)
    return ops.square(real) + ops.square(imaginary)


def _decibels(power: Any, floor: float) -> Any:
    return (10.0 / math.log(10.0)) * ops.log(ops.maximum(power, floor))


def _mel(spec: MelSpec, frames: Any) -> Any:
    filters = ops.convert_to_tensor(mel_matrix(spec), "float64")
    return ops.matmul(_power(spec, frames, "float64"), filters)


def _with_deltas(spec: MelSpec, static: Any, count: Any) -> Any:
    """Appends the derivatives along time; each utterance's edge frame is repeated beyond it."""
    if not spec.num_deltas:
        return static
    frames = ops.arange(ops.shape(static)[1])[None]
    derivatives = [0.0] * spec.num_deltas
    for number, offset in enumerate(range(-(DELTA_FRAMES // 2), DELTA_FRAMES // 2 + 1)):
        positions = ops.minimum(ops.maximum(frames + offset, 0), count[:, None] - 1)
        shifted = ops.take_along_axis(static, positions[..., None], axis=1)
        for order in range(spec.num_deltas):
            derivatives[order] += float(delta_kernel(order + 1)[number]) * shifted
    return ops.concatenate([static, *derivatives], axis=-1)
