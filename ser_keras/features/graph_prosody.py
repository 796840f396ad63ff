"""The kind of features `prosody` inside a graph: the twin of `ProsodySpec.compute`.

Transforms and every decision are in float64, as there; utterances end where theirs do, whatever
they are batched with.
"""

import math
from typing import Any

import numpy as np
from keras import ops

from ser_keras.features.frames import window
from ser_keras.features.kinds.prosody import (
    CENTROID_FLOOR,
    CORRELATION_RANGE,
    CORRELATION_STEPS,
    DELTA_F0_SCALE,
    ENERGY_FLOOR,
    FEWEST_VOICED,
    LEAST_MEAN_SQUARE,
    LEAST_PEAK,
    LOUDNESS_EXPONENT,
    MEDIAN_FRAMES,
    UNKNOWN_LOG2_F0,
    ProsodySpec,
    octave_costs,
    pitch_window,
    window_autocorrelation,
)
from ser_keras.features.mel import mel_triangles


def prosody(spec: ProsodySpec, frames: Any, count: Any, loudest_db: Any) -> tuple[Any, Any]:
    """Returns the log-mel energies and the prosodic values, and the level unchanged."""
    frames = ops.cast(frames, "float64")
    real = ops.arange(ops.shape(frames)[1])[None] < count[:, None]
    if spec.normalize_peak:
        peak = ops.max(ops.where(real, ops.max(ops.abs(frames), axis=2), 0.0), axis=1)
        frames = frames / ops.maximum(peak, LEAST_PEAK)[:, None, None]
    energies = _mel_energies(spec, frames)
    logs = ops.log(energies)
    track, voiced, correlation, energy = _pitch(spec, frames, real, count)
    ratio = _log10(correlation / (1.0 - correlation)) * 10.0
    before = [ops.cast(voiced, "float64"), correlation, ratio, _log10(energy + ENERGY_FLOOR)]
    levels = _level_values(spec, energies, logs)
    change = DELTA_F0_SCALE * (track - _previous(track))
    values = ops.stack([track, *before, *levels, change], axis=-1)
    return ops.concatenate([logs, values], axis=-1), loudest_db


def _mel_energies(spec: ProsodySpec, frames: Any) -> Any:
    """Returns what the mel filters let pass, and the floor (batch, frames, num_mels)."""
    middle = frames[..., spec.mel_offset : spec.mel_offset + spec.frame_samples]
    squares = _power(middle * window(spec), spec.fft_points)
    return ops.matmul(squares, ops.convert_to_tensor(mel_triangles(spec), "float64")) + spec.floor


def _pitch(spec: ProsodySpec, frames: Any, real: Any, count: Any) -> tuple[Any, Any, Any, Any]:
    """Returns log2 F0 without gaps, voicing (bool), r and the energy of each frame."""
    r, energy = _autocorrelation(spec, frames)
    log_f0, correlation = _highest_peaks(spec, r)
    loudest = ops.max(ops.where(real, energy, 0.0), axis=1, keepdims=True)
    loud = energy > loudest * 10.0 ** (-spec.voicing_range_db / 10.0)
    voiced = real & loud & (correlation > spec.voicing_threshold)
    return _without_gaps(_median(log_f0, count), voiced), voiced, correlation, energy


def _autocorrelation(spec: ProsodySpec, frames: Any) -> tuple[Any, Any]:
    """Returns r from lag 0 to one beyond the longest, and the energy."""
    frames = (frames - ops.mean(frames, axis=2, keepdims=True)) * pitch_window(spec)
    squares = _power(frames, spec.pitch_fft_points)
    shape = window_autocorrelation(spec)
    products = ops.irfft((squares, ops.zeros_like(squares)), spec.pitch_fft_points)
    products = products[..., : len(shape)]
    energy = ops.maximum(products[..., 0], 0.0)
    scale = energy + LEAST_MEAN_SQUARE * spec.pitch_frame_samples
    r = ops.clip(products / scale[..., None] / shape, -1.0, 1.0)
    return ops.round(r * CORRELATION_STEPS) / CORRELATION_STEPS, energy


def _highest_peaks(spec: ProsodySpec, r: Any) -> tuple[Any, Any]:
    """Returns log2 F0 in Hz, and r at its peak."""
    shortest, longest = spec.lags
    before, at, after = (r[..., shortest + k : longest + 1 + k] for k in (-1, 0, 1))
    is_peak = (at >= before) & (at >= after)
    best = ops.argmax(ops.where(is_peak, at - octave_costs(spec), -2.0), axis=-1)[..., None]
    left, top, right = (ops.take_along_axis(x, best, -1)[..., 0] for x in (before, at, after))
    curvature = 2.0 * top - left - right
    bent = (top >= left) & (top >= right) & (curvature > 0.0)
    vertex = ops.where(bent, 0.5 * (right - left) / ops.where(bent, curvature, 1.0), 0.0)
    period = float(shortest) + ops.cast(best[..., 0], "float64") + vertex
    log_f0 = math.log2(spec.sample_rate_hz) - ops.log(period) / math.log(2.0)
    top = ops.where(ops.any(is_peak, axis=-1), top, 0.0)
    return log_f0, ops.clip(top, *CORRELATION_RANGE)


def _median(track: Any, count: Any) -> Any:
    """Returns the median over 5 frames; each utterance's first and last are repeated beyond."""
    reach = MEDIAN_FRAMES // 2
    offsets = ops.arange(-reach, reach + 1)
    frames = ops.arange(ops.shape(track)[1])[:, None] + offsets
    positions = ops.maximum(ops.minimum(frames[None], count[:, None, None] - 1), 0)
    flat = ops.reshape(positions, (-1, ops.shape(track)[1] * MEDIAN_FRAMES))
    shifted = ops.take_along_axis(track, flat, axis=1)
    windows = ops.reshape(shifted, (*ops.shape(track), MEDIAN_FRAMES))
    return ops.sort(windows, axis=-1)[..., reach]


def _without_gaps(track: Any, voiced: Any) -> Any:
    """Returns the track with straight lines where it is not voiced."""
    total = ops.shape(track)[1]
    frames = ops.broadcast_to(ops.arange(total)[None], ops.shape(track))
    # The numbers of the voiced frames come first: entry n is the n-th of them.
    positions = ops.minimum(ops.sort(ops.where(voiced, frames, total), axis=1), total - 1)
    passed = ops.cumsum(ops.cast(voiced, "int32"), axis=1)
    last = ops.maximum(passed[:, -1:] - 1, 0)
    left = ops.take_along_axis(positions, ops.maximum(passed - 1, 0), axis=1)
    right = ops.take_along_axis(positions, ops.minimum(passed, last), axis=1)
    start, end = (ops.take_along_axis(track, side, axis=1) for side in (left, right))
    share = ops.cast(frames - left, "float64") / ops.cast(ops.maximum(right - left, 1), "float64")
    return ops.where(passed[:, -1:] < FEWEST_VOICED, UNKNOWN_LOG2_F0, start + share * (end - start))


def _level_values(spec: ProsodySpec, energies: Any, logs: Any) -> list[Any]:
    """Returns loudness, flux, centroid, slope and low - high."""
    numbers = np.arange(spec.num_mels, dtype=np.float64)
    centred = numbers - numbers.mean()
    total = ops.sum(energies, axis=-1)
    return [
        ops.sum(ops.exp(LOUDNESS_EXPONENT * logs), axis=-1),
        ops.mean(ops.maximum(logs - _previous(logs), 0.0), axis=-1),
        ops.sum(energies * numbers, axis=-1) / (total + CENTROID_FLOOR),
        ops.sum(logs * (centred / np.square(centred).sum()), axis=-1),
        ops.log(ops.sum(energies[..., : spec.low_bands], axis=-1))
        - ops.log(ops.sum(energies[..., spec.low_bands :], axis=-1)),
    ]


def _power(frames: Any, points: int) -> Any:
    real, imaginary = ops.rfft(frames, fft_length=points)
    return ops.square(real) + ops.square(imaginary)


def _previous(values: Any) -> Any:
    """Returns the values of the frame before each; the first frame's own."""
    return ops.concatenate([values[:, :1], values[:, :-1]], axis=1)


def _log10(values: Any) -> Any:
    return ops.log(values) / math.log(10.0)
