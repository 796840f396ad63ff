"""The feature kind `mfcc`: mel-frequency cepstral coefficients, with derivatives if asked."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ser_keras.features.frames import frames, frozen, power
from ser_keras.features.mel import MelSpec, mel_centres_hz, mel_matrix, with_deltas


@dataclass(frozen=True, kw_only=True)
class MfccSpec(MelSpec):
    """MFCC as librosa computes them: orthonormal DCT-II of the mel energies in dB.

    Args:
        num_mfcc: int. Number of coefficients, from the 0th.
        top_db: float. Everything more than this below the utterance's maximum is raised to it.

    Departures: librosa's default frame is 2048 samples every 512 at 22.05 kHz (93 and 23 ms),
        centred; here it is 64 ms every 20 ms, not centred, which suits short commands and streams.
    """

    frame_length_s: float = 0.064
    hop_s: float = 0.020
    fft_points: int = 1024
    num_mels: int = 128
    num_mfcc: int = 40
    floor: float = 1e-10
    top_db: float = 80.0

    kind: ClassVar[str] = "mfcc"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_mfcc > self.num_mels:
            self._refuse("num_mfcc", self.num_mfcc, f"at most num_mels, which is {self.num_mels}")

    @property
    def dim(self) -> int:
        """Number of values per frame."""
        return self.num_mfcc * (1 + self.num_deltas)

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the features of a trimmed waveform, float32 (frames, dim)."""
        return with_deltas(self, mfcc(self, frames(self, waveform.astype(np.float64))))

    def value_axis(self) -> tuple[np.ndarray, str]:
        """Returns the edges of the values of a row (dim + 1,), and the name of the axis."""
        edges, name = super().value_axis()
        return edges, "MFCC (number)" if self.dim == self.num_mfcc else name

    def spectral_basis(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the centres of the mel filters in Hz, and the cosine transform."""
        return mel_centres_hz(self), dct_matrix(self)


@lru_cache
def dct_matrix(spec: MfccSpec) -> np.ndarray:
    """Returns the orthonormal DCT-II, float64 (num_mels, num_mfcc), first coefficients only."""
    mel = np.arange(spec.num_mels)[:, None] + 0.5
    basis = np.cos(math.pi / spec.num_mels * mel * np.arange(spec.num_mfcc))
    basis *= math.sqrt(2.0 / spec.num_mels)
    basis[:, 0] /= math.sqrt(2.0)
    return frozen(basis)


def mfcc(spec: MfccSpec, frames: np.ndarray) -> np.ndarray:
    """Returns the coefficients, float64 (frames, num_mfcc), of float64 frames."""
    matrix = mel_matrix(spec)
    energy = power(spec, frames, len(matrix), matrix).astype(np.float64)
    decibels = 10.0 * np.log10(np.maximum(energy, spec.floor))
    return np.maximum(decibels, decibels.max() - spec.top_db) @ dct_matrix(spec)
