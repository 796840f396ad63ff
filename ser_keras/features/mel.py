"""Mel filters and derivatives along time, which several kinds of features share.

The filters are triangles on the Slaney or the HTK scale: of equal area (librosa's `norm="slaney"`)
for log-mel energies and MFCC, of equal height for prosody.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ser_keras.features.frames import FrameSpec, frozen

DELTA_FRAMES = 9


@dataclass(frozen=True, kw_only=True)
class MelFilterSpec(FrameSpec):
    """Mel filters.

    Args:
        num_mels: int. Number of mel filters.
        fmin_hz: float. Lower edge of the lowest filter.
        fmax_hz: float. Upper edge of the highest filter.
        mel_scale: str. `"slaney"` (librosa's default) or `"htk"`.
        floor: float. Smallest mel energy.
    """

    num_mels: int = 40
    fmin_hz: float = 0.0
    fmax_hz: float = 8000.0
    mel_scale: str = "slaney"
    floor: float = 1e-6

    choices: ClassVar = {**FrameSpec.choices, "mel_scale": ("slaney", "htk")}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            expected = f"more than fmin_hz and at most {self.sample_rate_hz / 2:g}"
            self._refuse("fmax_hz", self.fmax_hz, expected)


@dataclass(frozen=True, kw_only=True)
class MelSpec(MelFilterSpec):
    """Mel filters and derivatives, shared by `LogMelSpec` and `MfccSpec`.

    Args:
        num_deltas: int. 0, 1 (first derivative appended) or 2 (first and second), regression over
            9 frames with the edge frame repeated.
    """

    num_deltas: int = 0

    choices: ClassVar = {**MelFilterSpec.choices, "num_deltas": (0, 1, 2)}

    @property
    def context_frames(self) -> int:
        """Frames on either side of a row that its derivatives reach over."""
        return DELTA_FRAMES // 2 if self.num_deltas else 0


@lru_cache
def mel_matrix(spec: MelFilterSpec) -> np.ndarray:
    """Returns the mel filters, float32 (fft_points // 2 + 1, num_mels): triangles of equal area."""
    edges = _edges_hz(spec)
    return frozen((_triangles(spec) * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32))


@lru_cache
def mel_triangles(spec: MelFilterSpec) -> np.ndarray:
    """Returns the mel filters, float32 (fft_points // 2 + 1, num_mels): triangles of height 1."""
    return frozen(_triangles(spec).astype(np.float32))


def _triangles(spec: MelFilterSpec) -> np.ndarray:
    edges = _edges_hz(spec)
    bins = np.arange(spec.fft_points // 2 + 1) * (spec.sample_rate_hz / spec.fft_points)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _edges_hz(spec: MelFilterSpec) -> np.ndarray:
    """Returns where the triangles start, peak and end, float64 (num_mels + 2,)."""
    to_mel, to_hz = _SCALES[spec.mel_scale]
    mels = np.linspace(to_mel(spec.fmin_hz), to_mel(spec.fmax_hz), spec.num_mels + 2)
    return np.asarray(to_hz(mels))


def mel_centres_hz(spec: MelFilterSpec) -> np.ndarray:
    """Returns the centre frequencies of the mel filters, float64 (num_mels,), of librosa."""
    # librosa takes half a second to import, which feature jobs need not wait for.
    import librosa

    htk = spec.mel_scale == "htk"
    edges = librosa.mel_frequencies(
        spec.num_mels + 2, fmin=spec.fmin_hz, fmax=spec.fmax_hz, htk=htk
    )
    return np.asarray(edges[1:-1])


@lru_cache
def delta_kernel(order: int) -> np.ndarray:
    """Returns the weights of frames t-4..t+4 in the derivative at t, float64 (9,).

    The derivative of the polynomial of degree `order` fitted to the nine frames by least squares
    (Savitzky and Golay 1964), as in `librosa.feature.delta`.
    """
    offsets = np.arange(DELTA_FRAMES) - DELTA_FRAMES // 2
    fit = np.linalg.pinv(np.vander(offsets, order + 1, increasing=True).astype(np.float64))
    return frozen(math.factorial(order) * fit[order])


def with_deltas(spec: MelSpec, static: np.ndarray) -> np.ndarray:
    """Appends the derivatives along time; the edge frame is repeated beyond both ends.

    Args:
        spec: number of derivatives.
        static: (frames, values).

    Returns:
        float32 (frames, values * (1 + num_deltas)).
    """
    if not spec.num_deltas:
        return static.astype(np.float32, copy=False)
    reach = DELTA_FRAMES // 2
    count, dim = static.shape
    padded = np.pad(static, ((reach, reach), (0, 0)), mode="edge").astype(np.float64)
    result = np.empty((count, dim * (1 + spec.num_deltas)), np.float32)
    result[:, :dim] = static
    for order in range(1, spec.num_deltas + 1):
        shifted = zip(delta_kernel(order), range(DELTA_FRAMES), strict=True)
        result[:, order * dim : (order + 1) * dim] = sum(
            weight * padded[shift : shift + count] for weight, shift in shifted
        )
    return result


def _slaney_mel(hz: float) -> float:
    return hz * 3.0 / 200.0 if hz < 1000.0 else 15.0 + 27.0 * math.log(hz / 1000.0) / math.log(6.4)


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    above = 1000.0 * np.exp((np.maximum(mel, 15.0) - 15.0) * math.log(6.4) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, above)


def _htk_mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def _htk_hz(mel: np.ndarray) -> np.ndarray:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


_SCALES = {"slaney": (_slaney_mel, _slaney_hz), "htk": (_htk_mel, _htk_hz)}
