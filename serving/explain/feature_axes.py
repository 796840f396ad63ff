"""The axes of a recording's features: the time of each frame, the frequency of each value."""

import math

import numpy as np

from ser_keras.features.extract import loud_part, mel_matrix
from ser_keras.features.specs import FrameSpec, LogMelSpec, MfccWindowsSpec, SpectrogramSpec


def frame_times(
    spec: FrameSpec, waveform: np.ndarray, frames: int, start_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the edges of the frames (frames + 1,) and where each ends (frames,), in seconds.

    A frame stands for the time around its middle; the first and the last reach as far as they hear.
    """
    length, hop = spec.frame_samples, spec.hop_samples
    if isinstance(spec, MfccWindowsSpec):
        length, hop = spec.window_samples, spec.window_hop_samples
    heard = loud_part(spec, waveform)
    ends = np.minimum(heard.start + np.arange(frames) * hop + length, heard.stop)
    edges = heard.start + np.arange(frames + 1) * hop + (length - hop) / 2
    edges[0], edges[-1] = heard.start, ends[-1]
    return start_s + edges / spec.sample_rate_hz, start_s + ends / spec.sample_rate_hz


def feature_rows(spec: FrameSpec) -> tuple[np.ndarray, str]:
    """Returns the edges of the values of a frame (dim + 1,), and what they are."""
    if isinstance(spec, SpectrogramSpec):
        bins = np.arange(spec.num_bins + 1) - 0.5
        return np.maximum(bins, 0.0) * spec.sample_rate_hz / spec.fft_points, "frequency (Hz)"
    if isinstance(spec, LogMelSpec) and not spec.num_deltas:
        filters = mel_matrix(spec)
        bins_hz = np.arange(len(filters)) * spec.sample_rate_hz / spec.fft_points
        centres = bins_hz @ filters / filters.sum(axis=0)
        middles = (centres[1:] + centres[:-1]) / 2
        return np.concatenate([[spec.fmin_hz], middles, [spec.fmax_hz]]), "frequency (Hz)"
    name = "MFCC (number)" if spec.dim == getattr(spec, "num_mfcc", 0) else "value (number)"
    return np.arange(spec.dim + 1) - 0.5, name


def feature_levels(spec: FrameSpec, features: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns the features as they are drawn, and what they are."""
    if isinstance(spec, SpectrogramSpec):
        if spec.scale == "magnitude":
            return 10.0 * np.log10(np.maximum(np.square(features), spec.floor)), "level (dB)"
        return features, "level (dB)"
    if isinstance(spec, LogMelSpec) and not spec.num_deltas:
        return features * (10.0 / math.log(10.0)), "level (dB)"
    return features, "value"
