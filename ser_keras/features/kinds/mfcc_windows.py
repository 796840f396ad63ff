"""The feature kind `mfcc_windows`: one vector for each window of seconds, made of its MFCC."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ser_keras.features.frames import frames, pieces
from ser_keras.features.kinds.mfcc import MfccSpec, mfcc
from ser_keras.features.mel import with_deltas


@dataclass(frozen=True, kw_only=True)
class MfccWindowsSpec(MfccSpec):
    """One vector per window of speech, made of the MFCC of that window alone.

    The frame formula holds for windows too: one starts every hop, and an utterance shorter than one
    is zero padded to one. `num_frames` counts windows; the other fields are of the MFCC inside.

    Args:
        window_s: float. Length of a window.
        window_hop_s: float. Distance between the starts of two windows.
        statistics: str. `"mean"` over the window's frames, `"mean_std"` (means, then deviations of
            the population) or `"frames"` (all of them, one after the other).

    Departures: `top_db` counts from the maximum of the window, not of the utterance, which a stream
        does not know before its end. librosa does the same when it is given a window at a time.

    Example:
        >>> [MfccWindowsSpec().num_frames(n) for n in (0, 32000, 47999, 48000)]
        [1, 1, 1, 2]
    """

    window_s: float = 2.0
    window_hop_s: float = 1.0
    statistics: str = "mean"

    kind: ClassVar[str] = "mfcc_windows"
    choices: ClassVar = {**MfccSpec.choices, "statistics": ("mean", "mean_std", "frames")}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_samples < self.frame_samples:
            expected = f"at least a frame, which is {self.frame_length_s:g}"
            self._refuse("window_s", self.window_s, expected)

    @property
    def window_samples(self) -> int:
        """Length of a window in samples."""
        return round(self.window_s * self.sample_rate_hz)

    @property
    def window_hop_samples(self) -> int:
        """Distance between two windows in samples."""
        return max(1, round(self.window_hop_s * self.sample_rate_hz))

    @property
    def vector_samples(self) -> int:
        """Samples that one row of the features is computed from: a window."""
        return self.window_samples

    @property
    def vector_hop_samples(self) -> int:
        """Distance between the samples of two rows of the features."""
        return self.window_hop_samples

    @property
    def context_frames(self) -> int:
        """Zero: derivatives end with their window."""
        return 0

    @property
    def frames_in_window(self) -> int:
        """Number of frames of MFCC in a window."""
        return 1 + (self.window_samples - self.frame_samples) // self.hop_samples

    @property
    def dim(self) -> int:
        """Number of values per window."""
        vectors = {"mean": 1, "mean_std": 2, "frames": self.frames_in_window}
        return super().dim * vectors[self.statistics]

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the vectors of a trimmed waveform's windows, float32 (windows, dim)."""
        waveform = waveform.astype(np.float64)
        windows = pieces(waveform, self.window_samples, self.window_hop_samples)
        result = np.empty((len(windows), self.dim), np.float32)
        for vector, samples in zip(result, windows, strict=True):
            values = with_deltas(self, mfcc(self, frames(self, samples))).astype(np.float64)
            if self.statistics == "frames":
                vector[:] = values.ravel()
            elif self.statistics == "mean":
                vector[:] = values.mean(axis=0)
            else:
                vector[:] = np.concatenate([values.mean(axis=0), values.std(axis=0)])
        return result

    def spectral_basis(self) -> None:
        """Returns None: a window of several frames has no frequencies of its own."""
        return None
