"""The feature specs as a layer: waveforms in, features out, inside the served graph.

What `features.extract` computes of one recording, this computes of a padded batch, from the same
windows, filters and transforms. `ser export` compares the two on real speech and refuses a model
whose served features are not the features it was trained on.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ser_keras.errors import ConfigError
from ser_keras.features.extract import DELTA_FRAMES, dct_matrix, delta_kernel, mel_matrix, window
from ser_keras.features.specs import (
    FrameSpec,
    LogMelSpec,
    MelSpec,
    MfccSpec,
    MfccWindowsSpec,
    SpectrogramSpec,
    spec_from_dict,
)


@keras.saving.register_keras_serializable("ser_keras")
class FrontEnd(keras.layers.Layer):
    """The features of each waveform of a batch, whatever it is batched with.

    Args:
        spec: FrameSpec, or its `to_dict`. What a frame is.

    Call arguments:
        waveform: float32 (batch, samples) at `spec.sample_rate_hz`. What lies behind an utterance's
            end does not matter.
        length: int (batch,). Samples of each utterance.

    Returns:
        features: float32 (batch, frames, spec.dim), 0 in the padding.
        mask: bool (batch, frames), True for real frames, which come first; at least one each.

    Example:
        >>> from ser_keras.features.specs import SPECS
        >>> features, mask = FrontEnd(SPECS["logmel40"])(ops.ones((2, 16000)), ops.array([9000, 1]))
        >>> features.shape[2], ops.sum(ops.cast(mask, "int32"), axis=1).numpy().tolist()
        (40, [54, 1])

    Departures: transforms in float64 except those of magnitudes, so it needs a backend that has it.
    """

    def __init__(self, spec: FrameSpec | Mapping[str, Any], **kwargs: Any):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.spec = spec if isinstance(spec, FrameSpec) else spec_from_dict(spec)

    def call(self, waveform: Any, length: Any) -> tuple[Any, Any]:
        """Returns features and mask."""
        waveform, length = _silent_behind_end(self.spec, waveform, length)
        features, mask, _ = self._features(*_trimmed(self.spec, waveform, length))
        return features, mask

    def of_stretch(self, waveform: Any, length: Any, loudest_db: Any) -> tuple[Any, Any, Any]:
        """Returns the features of a stretch of a longer recording, as the recording has them.

        A stretch is not trimmed, for its quiet ends are not those of the recording. Derivatives
        within four frames of where it was cut repeat its edge and are not the recording's.

        Args:
            waveform: as of a call.
            length: as of a call.
            loudest_db: float32 (batch,). The level that this returned for the recording so far;
                before there is one, any that is lower than all, such as -1000.

        Returns:
            features: as of a call.
            mask: as of a call.
            loudest_db: float32 (batch,). The highest mel level of the recording up to here, for
                MFCC whose `top_db` counts from it, once it is so high that it matters; of other
                features what was given.
        """
        return self._features(*_silent_behind_end(self.spec, waveform, length), loudest_db)

    def _features(self, waveform: Any, length: Any, loudest_db: Any = None) -> tuple[Any, Any, Any]:
        spec = self.spec
        if isinstance(spec, MfccWindowsSpec):
            pieces, count = _pieces(waveform, length, spec.window_samples, spec.window_hop_samples)
            features = _window_vectors(spec, pieces)
        else:
            frames, count = _pieces(waveform, length, spec.frame_samples, spec.hop_samples)
            features, loudest_db = _frame_vectors(spec, frames, count, loudest_db)
        mask = _before(count, ops.shape(features)[1])
        features = ops.where(mask[..., None], ops.cast(features, "float32"), 0.0)
        return features, mask, loudest_db

    def compute_output_shape(self, waveform_shape: Any, length_shape: Any) -> Any:
        """Returns the shapes of features and mask."""
        return (waveform_shape[0], None, self.spec.dim), (waveform_shape[0], None)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"spec": self.spec.to_dict(), "name": self.name}


# === Samples ===


def _before(count: Any, size: Any) -> Any:
    """Returns bool (batch, size), True for the first `count` of each row."""
    return ops.arange(size)[None] < ops.cast(count, "int32")[:, None]


def _silent_behind_end(spec: FrameSpec, waveform: Any, length: Any) -> tuple[Any, Any]:
    """Returns (waveform, length) with zeros behind each end, enough for one piece at least."""
    samples = ops.shape(waveform)[1]
    length = ops.clip(ops.cast(length, "int32"), 0, samples)
    least = spec.window_samples if isinstance(spec, MfccWindowsSpec) else spec.frame_samples
    waveform = ops.where(_before(length, samples), waveform, 0.0)
    return ops.pad(waveform, [(0, 0), (0, least)]), length


def _trimmed(spec: FrameSpec, waveform: Any, length: Any) -> tuple[Any, Any]:
    """Returns (waveform, length) from the first loud frame of each to its last."""
    if spec.trim_db is None:
        return waveform, length
    frame, hop = spec.frame_samples, spec.hop_samples
    squares = ops.square(ops.cast(waveform, "float64"))
    sums = ops.pad(ops.cumsum(squares, axis=1), [(0, 0), (1, 0)])
    starts = ops.arange(0, ops.shape(waveform)[1] - frame + 1, hop)
    energy = ops.take(sums, starts + frame, axis=1) - ops.take(sums, starts, axis=1)
    whole = starts[None] <= length[:, None] - frame
    energy = ops.where(whole, energy, -1.0)
    least = ops.max(energy, axis=1, keepdims=True) * 10.0 ** (-spec.trim_db / 10.0)
    loud = ops.cast(whole & (energy >= least), "int32")
    first = ops.argmax(loud, axis=1) * hop
    last = ops.max(loud * starts[None], axis=1)
    short = length < frame
    first = ops.where(short, 0, ops.cast(first, "int32"))
    length = ops.where(short, length, last + frame - first)
    # What stands `first` to the right; beyond the trimmed end nothing does.
    size = ops.shape(waveform)[1]
    places = ops.minimum(first[:, None] + ops.arange(size)[None], size - 1)
    moved = ops.take_along_axis(waveform, places, axis=1)
    return ops.where(_before(length, size), moved, 0.0), length


def _pieces(waveform: Any, length: Any, size: int, hop: int) -> tuple[Any, Any]:
    """Returns pieces (batch, most, size), one every `hop` samples, and how many each has."""
    count = 1 + ops.maximum(length - size, 0) // hop
    return ops.extract_sequences(waveform, size, hop)[:, : ops.max(count)], count


# === Frames ===


def _frame_vectors(
    spec: FrameSpec, frames: Any, count: Any, loudest_db: Any = None
) -> tuple[Any, Any]:
    """Returns (features (batch, frames, dim) of frames (batch, frames, samples), loudest level)."""
    if isinstance(spec, SpectrogramSpec):
        return _spectrogram(spec, frames), loudest_db
    if isinstance(spec, LogMelSpec):
        return _with_derivatives(spec, _log_mel(spec, frames), count), loudest_db
    if isinstance(spec, MfccSpec):
        real = _before(count, ops.shape(frames)[1])[..., None]
        static, loudest_db = _mfcc(spec, frames, real, loudest_db)
        return _with_derivatives(spec, static, count), loudest_db
    raise ConfigError(
        f"front end: found a spec of type {type(spec).__name__}, expected a known one."
    )


def _window_vectors(spec: MfccWindowsSpec, pieces: Any) -> Any:
    """Returns one vector (batch, windows, dim) of each window (batch, windows, samples)."""
    frames = ops.extract_sequences(pieces, spec.frame_samples, spec.hop_samples)
    shape = ops.shape(frames)
    # Every window is an utterance of its own, all of whose frames are real.
    frames = ops.reshape(frames, (-1, *frames.shape[2:]))
    count = ops.full(ops.shape(frames)[:1], frames.shape[1], "int32")
    values, _ = _frame_vectors(spec, frames, count)
    if spec.statistics == "frames":
        vectors = ops.reshape(values, (-1, spec.dim))
    elif spec.statistics == "mean":
        vectors = ops.mean(values, axis=1)
    else:
        vectors = ops.concatenate([ops.mean(values, axis=1), ops.std(values, axis=1)], axis=-1)
    return ops.reshape(vectors, (shape[0], shape[1], spec.dim))


def _power(spec: FrameSpec, frames: Any, dtype: str) -> Any:
    """Returns |X|^2 of every frame, (batch, frames, fft_points // 2 + 1)."""
    windowed = ops.cast(frames, dtype) * ops.convert_to_tensor(window(spec), dtype)
    real, imaginary = ops.rfft(windowed, fft_length=spec.fft_points)
    return ops.square(real) + ops.square(imaginary)


def _spectrogram(spec: SpectrogramSpec, frames: Any) -> Any:
    if spec.scale == "magnitude":
        return ops.sqrt(_power(spec, frames, "float32")[..., : spec.num_bins])
    return _decibels(_power(spec, frames, "float64")[..., : spec.num_bins], spec.floor)


def _decibels(power: Any, floor: float) -> Any:
    return (10.0 / math.log(10.0)) * ops.log(ops.maximum(power, floor))


def _mel(spec: MelSpec, frames: Any) -> Any:
    filters = ops.convert_to_tensor(mel_matrix(spec), "float64")
    return ops.matmul(_power(spec, frames, "float64"), filters)


def _log_mel(spec: LogMelSpec, frames: Any) -> Any:
    return ops.log(ops.maximum(_mel(spec, frames), spec.floor))


def _mfcc(spec: MfccSpec, frames: Any, real: Any, loudest_db: Any) -> tuple[Any, Any]:
    """Returns (MFCC, the level that `top_db` was counted from)."""
    decibels = _decibels(_mel(spec, frames), spec.floor)
    # The maximum is the utterance's own, not the padding's.
    loudest = ops.max(ops.where(real, decibels, -math.inf), axis=(1, 2), keepdims=True)
    if loudest_db is not None:
        # Below this nothing is raised, so that to become louder changes nothing either.
        loudest = ops.maximum(loudest, 10.0 * math.log10(spec.floor) + spec.top_db)
        loudest = ops.maximum(loudest, ops.cast(loudest_db, "float64")[:, None, None])
        loudest_db = ops.cast(loudest[:, 0, 0], "float32")
    cosines = ops.convert_to_tensor(dct_matrix(spec), "float64")
    return ops.matmul(ops.maximum(decibels, loudest - spec.top_db), cosines), loudest_db


def _with_derivatives(spec: MelSpec, static: Any, count: Any) -> Any:
    """Appends the derivatives along time; each utterance's edge frame is repeated beyond it."""
    if not spec.num_deltas:
        return static
    frames = ops.arange(ops.shape(static)[1])[None]
    parts = [0.0] * spec.num_deltas
    for number, offset in enumerate(range(-(DELTA_FRAMES // 2), DELTA_FRAMES // 2 + 1)):
        places = ops.minimum(ops.maximum(frames + offset, 0), count[:, None] - 1)
        moved = ops.take_along_axis(static, places[..., None], axis=1)
        for order in range(spec.num_deltas):
            parts[order] += float(delta_kernel(order + 1)[number]) * moved
    return ops.concatenate([static, *parts], axis=-1)
