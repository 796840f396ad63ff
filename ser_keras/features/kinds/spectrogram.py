"""The feature kind `spectrogram`: the lowest bins of the spectrum, as magnitudes or in dB."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ser_keras.features.frames import FrameSpec, frames, power


@dataclass(frozen=True, kw_only=True)
class SpectrogramSpec(FrameSpec):
    """The lowest bins of the spectrum, |X| or 10 log10(max(|X|^2, floor)).

    Args:
        num_bins: int. Bins kept, from 0 Hz.
        scale: str. `"db"` or `"magnitude"`.
        floor: float. Smallest power, for dB.
    """

    frame_length_s: float = 0.040
    fft_points: int = 800
    window: str = "hamming"
    num_bins: int = 200
    scale: str = "db"
    floor: float = 1e-10

    kind: ClassVar[str] = "spectrogram"
    choices: ClassVar = {**FrameSpec.choices, "scale": ("db", "magnitude")}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_bins > self.fft_points // 2 + 1:
            self._refuse("num_bins", self.num_bins, f"at most {self.fft_points // 2 + 1}")

    @property
    def dim(self) -> int:
        """Number of values per frame."""
        return self.num_bins

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the features of a trimmed waveform, float32 (frames, dim)."""
        if self.scale == "magnitude":
            levels = power(self, frames(self, waveform), self.num_bins)
            return np.sqrt(levels, out=levels)
        levels = power(self, frames(self, waveform.astype(np.float64)), self.num_bins)
        np.log10(np.maximum(levels, np.float32(self.floor), out=levels), out=levels)
        return np.maximum(10.0 * levels, np.float32(10.0 * math.log10(self.floor)))

    def value_axis(self) -> tuple[np.ndarray, str]:
        """Returns the edges of the bins in Hz (dim + 1,), and the name of the axis."""
        bins = np.arange(self.num_bins + 1) - 0.5
        return np.maximum(bins, 0.0) * self.sample_rate_hz / self.fft_points, "frequency (Hz)"

    def levels(self, features: np.ndarray) -> tuple[np.ndarray, str]:
        """Returns the features in dB, and the name of what is drawn."""
        if self.scale == "magnitude":
            return 10.0 * np.log10(np.maximum(np.square(features), self.floor)), "level (dB)"
        return features, "level (dB)"

    def spectral_basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers of the bins, for their frequencies, and the identity."""
        return np.arange(self.num_bins, dtype=float), np.eye(self.num_bins)
