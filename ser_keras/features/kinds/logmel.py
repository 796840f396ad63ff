"""The feature kind `logmel`: logarithms of mel energies, with derivatives if asked."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ser_keras.features.frames import frames, frozen, power
from ser_keras.features.mel import MelSpec, mel_centres_hz, mel_matrix, with_deltas

# See _log_mel. The worst ln(energy) found is 3e-5 off at this value, and 6e-4 without it.
_SINGLE_DOWN_TO_HZ = 1e-4


@dataclass(frozen=True, kw_only=True)
class LogMelSpec(MelSpec):
    """ln(max(mel energy, floor)); mel energy is the filtered power spectrum.

    Example:
        >>> LogMelSpec(num_mels=23, num_deltas=2).dim
        69
    """

    kind: ClassVar[str] = "logmel"

    @property
    def dim(self) -> int:
        """Number of values per frame."""
        return self.num_mels * (1 + self.num_deltas)

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the features of a trimmed waveform, float32 (frames, dim)."""
        return with_deltas(self, _log_mel(self, frames(self, waveform)))

    def value_axis(self) -> tuple[np.ndarray, str]:
        """Returns the edges of the filters in Hz (dim + 1,), or of values and derivatives."""
        if self.num_deltas:
            return super().value_axis()
        filters = mel_matrix(self)
        bins_hz = np.arange(len(filters)) * self.sample_rate_hz / self.fft_points
        centres = bins_hz @ filters / filters.sum(axis=0)
        middles = (centres[1:] + centres[:-1]) / 2
        return np.concatenate([[self.fmin_hz], middles, [self.fmax_hz]]), "frequency (Hz)"

    def levels(self, features: np.ndarray) -> tuple[np.ndarray, str]:
        """Returns the features in dB unless derivatives are among them, and their name."""
        if self.num_deltas:
            return super().levels(features)
        return features * (10.0 / math.log(10.0)), "level (dB)"

    def spectral_basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the centres of the mel filters in Hz, and the identity."""
        return mel_centres_hz(self), np.eye(self.num_mels)


def _log_mel(spec: LogMelSpec, frames: np.ndarray) -> np.ndarray:
    """Returns ln(mel energy), float32 (frames, num_mels), of float32 frames.

    The error of a float32 transform is a share of the whole frame's energy, so it shows in the
    logarithm of the weakest filters. Frames with a filter below _SINGLE_DOWN_TO_HZ / rate of their
    energy (a third of them or fewer, by corpus) are transformed again in float64.
    """
    matrix, floor = mel_matrix(spec), np.float32(spec.floor)
    energy = power(spec, frames, len(matrix), _with_total(spec))
    energy, total = np.maximum(energy[:, :-1], floor), energy[:, -1]
    weak = energy.min(axis=1) < total * np.float32(_SINGLE_DOWN_TO_HZ / spec.sample_rate_hz)
    if weak.any():
        exact = power(spec, frames[weak].astype(np.float64), len(matrix), matrix)
        energy[weak] = np.maximum(exact, floor)
    return np.log(energy, out=energy)


@lru_cache
def _with_total(spec: MelSpec) -> np.ndarray:
    """Returns the mel filters and, as last column, one that passes everything."""
    matrix = mel_matrix(spec)
    return frozen(np.concatenate([matrix, np.ones_like(matrix[:, :1])], axis=1))
