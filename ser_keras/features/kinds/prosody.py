"""The feature kind `prosody`: log-mel energies and, beside them, pitch, voicing and loudness.

Transforms and decisions are in float64, and correlations are rounded to a fixed grid before they
are compared: where two periods fit a frame equally well, the served graph has to choose as this
does.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import ClassVar

import numpy as np

from ser_keras.features.frames import fast_transforms, frozen, periodic_window, pieces, power
from ser_keras.features.mel import MelFilterSpec, mel_centres_hz, mel_triangles

PROSODY_NAMES = (
    "log2 F0",
    "voiced",
    "autocorrelation",
    "harmonics-to-noise ratio",
    "log energy",
    "loudness",
    "flux",
    "centroid",
    "slope",
    "low - high",
    "delta F0",
)
# Differences between two transforms are 1e-15, those between two periods of speech far larger.
CORRELATION_STEPS = 2.0**30
LEAST_PEAK = 1e-6  # of a waveform; a quieter one is not scaled up to 1
LEAST_MEAN_SQUARE = 1e-6  # of a pitch frame; quieter ones correlate less
CORRELATION_RANGE = (1e-3, 0.999)  # 30 dB of harmonics-to-noise ratio either way
ENERGY_FLOOR = 1e-4
LOUDNESS_EXPONENT = 0.3
CENTROID_FLOOR = 1e-6
MEDIAN_FRAMES = 5
FEWEST_VOICED = 4
UNKNOWN_LOG2_F0 = 7.3  # 158 Hz, between men and women; for recordings with fewer voiced frames
DELTA_F0_SCALE = 10.0

_BLOCK_FRAMES = 32  # of 1024 points in float64, which stay in the second-level cache


@dataclass(frozen=True, kw_only=True)
class ProsodySpec(MelFilterSpec):
    """Log-mel energies, and eleven values of pitch, voice quality and loudness.

    A row is computed from one pitch frame; the frame of the mel energies is the middle of it.
    `value_names` names the values, in this order:

    - ln(mel energy + floor), of triangles of height 1;
    - log2 F0: F0 in Hz from the highest local peak of the autocorrelation r of the pitch frame
      (without its mean, Hann window, divided by the autocorrelation of the window as in Boersma
      1993), less `octave_cost` for every octave below `f0_max_hz`; the peak is refined by a
      parabola, the track is smoothed by a median over 5 frames, and frames that are not voiced
      get the line between their voiced neighbours;
    - voiced: 1 where r > `voicing_threshold` and the energy is less than `voicing_range_db` below
      the loudest frame, else 0;
    - r at that peak; 10 log10(r / (1 - r)), the harmonics-to-noise ratio; log10 of the energy;
    - loudness, the sum of mel energy^0.3; spectral flux, the mean rise of the log-mel energies
      since the frame before; the centroid and the slope of the spectrum over the numbers of the
      filters; ln of the energy in the `low_bands` lowest filters over that in the others;
    - 10 times the change of log2 F0 since the frame before.

    Args:
        floor: float. Is added to the mel energies.
        pitch_frame_s: float. Length of a pitch frame; at least two periods of `f0_min_hz`.
        f0_min_hz: float. Lowest F0.
        f0_max_hz: float. Highest F0.
        octave_cost: float. How much higher the peak of a period twice as long must be.
        voicing_threshold: float. Smallest r of a voiced frame.
        voicing_range_db: float. How far below the loudest a voiced frame may be.
        low_bands: int. Mel filters that count as low.
        normalize_peak: bool. Whether the waveform is scaled first so that its largest sample is 1.
            Else the level of the recording remains in the values.

    Example:
        >>> spec = ProsodySpec()
        >>> spec.dim, spec.value_names()[63:66]
        (75, ('mel 63', 'log2 F0', 'voiced'))
    """

    frame_length_s: float = 0.025
    hop_s: float = 0.010
    fft_points: int = 512
    num_mels: int = 64
    fmin_hz: float = 50.0
    fmax_hz: float = 7800.0
    mel_scale: str = "htk"
    floor: float = 1e-5
    pitch_frame_s: float = 0.040
    f0_min_hz: float = 60.0
    f0_max_hz: float = 550.0
    octave_cost: float = 0.03
    voicing_threshold: float = 0.5
    voicing_range_db: float = 50.0
    low_bands: int = 25
    normalize_peak: bool = True

    kind: ClassVar[str] = "prosody"
    # F0 of unvoiced frames depends on what is voiced next, and the peak on all of the recording.
    streams: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pitch_frame_samples < self.frame_samples:
            expected = f"at least a frame, which is {self.frame_length_s:g}"
            self._refuse("pitch_frame_s", self.pitch_frame_s, expected)
        if self.f0_min_hz * self.pitch_frame_s < 2.0:
            expected = f"at least two periods per pitch frame, which is {2 / self.pitch_frame_s:g}"
            self._refuse("f0_min_hz", self.f0_min_hz, expected)
        if not self.f0_min_hz < self.f0_max_hz <= self.sample_rate_hz / 4:
            expected = f"more than f0_min_hz and at most {self.sample_rate_hz / 4:g}"
            self._refuse("f0_max_hz", self.f0_max_hz, expected)
        if self.low_bands >= self.num_mels:
            self._refuse("low_bands", self.low_bands, "fewer than num_mels")

    @property
    def pitch_frame_samples(self) -> int:
        """Length of a pitch frame in samples."""
        return round(self.pitch_frame_s * self.sample_rate_hz)

    @property
    def vector_samples(self) -> int:
        """Samples that one row of the features is computed from: a pitch frame."""
        return self.pitch_frame_samples

    @property
    def mel_offset(self) -> int:
        """Samples of a pitch frame before the frame of the mel energies, which is its middle."""
        return (self.pitch_frame_samples - self.frame_samples) // 2

    @property
    def lags(self) -> tuple[int, int]:
        """Shortest and longest period that is looked for, in samples."""
        return int(self.sample_rate_hz / self.f0_max_hz), int(self.sample_rate_hz / self.f0_min_hz)

    @property
    def pitch_fft_points(self) -> int:
        """Length of the DFT of a pitch frame: no product of two samples wraps around."""
        return 1 << (self.pitch_frame_samples + self.lags[1]).bit_length()

    @property
    def dim(self) -> int:
        """Number of values per frame."""
        return self.num_mels + len(PROSODY_NAMES)

    def compute(self, waveform: np.ndarray, fft: ModuleType | None = None) -> np.ndarray:
        """Returns the features of a trimmed waveform, float32 (frames, dim).

        Args:
            waveform: float32 (samples,).
            fft: module of the transforms, `fast_transforms()` when left out.
        """
        fft = fft or fast_transforms()
        rows = pieces(waveform, self.pitch_frame_samples, self.hop_samples).astype(np.float64)
        if self.normalize_peak:
            rows /= max(rows.max(), -rows.min(), LEAST_PEAK)
        middle = rows[:, self.mel_offset : self.mel_offset + self.frame_samples]
        triangles = mel_triangles(self)
        energies = power(self, middle, len(triangles), triangles, fft)
        energies = energies.astype(np.float64) + self.floor
        pitch = _pitch_values(self, rows, fft)
        change = DELTA_F0_SCALE * np.diff(pitch[:, 0], prepend=pitch[0, 0])
        values = [np.log(energies), pitch, _level_values(self, energies), change]
        return np.column_stack(values).astype(np.float32)

    def value_names(self) -> tuple[str, ...]:
        """Returns what each value of a row is called, (dim,)."""
        return *(f"mel {number}" for number in range(self.num_mels)), *PROSODY_NAMES

    def spectral_basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the centres of the mel filters in Hz, and the identity beside zeros."""
        return mel_centres_hz(self), np.eye(self.num_mels, self.dim)


def pitch_window(spec: ProsodySpec) -> np.ndarray:
    """Returns the periodic Hann window of a pitch frame, float64 (pitch_frame_samples,)."""
    return periodic_window("hann", spec.pitch_frame_samples)


@lru_cache
def window_autocorrelation(spec: ProsodySpec) -> np.ndarray:
    """Returns that of the pitch window, 1 at lag 0, float64 (longest lag + 2,)."""
    window = pitch_window(spec)
    products = np.correlate(window, window, "full")[len(window) - 1 :]
    return frozen(products[: spec.lags[1] + 2] / products[0])


@lru_cache
def octave_costs(spec: ProsodySpec) -> np.ndarray:
    """Returns what is taken off the correlation at each period looked for, float64 (periods,)."""
    shortest, longest = spec.lags
    periods = np.arange(shortest, longest + 1)
    return frozen(spec.octave_cost * np.log2(periods / shortest))


def _pitch_values(spec: ProsodySpec, rows: np.ndarray, fft: ModuleType) -> np.ndarray:
    """Returns log2 F0, voiced, r, harmonics-to-noise ratio and log energy of each row."""
    peaks = np.empty((3, len(rows)))
    for start in range(0, len(rows), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        peaks[:, block] = _highest_peaks(spec, *_autocorrelation(spec, rows[block], fft))
    log_f0, correlation, energy = peaks
    loud = energy > energy.max() * 10.0 ** (-spec.voicing_range_db / 10.0)
    voiced = (correlation > spec.voicing_threshold) & loud
    track = _without_gaps(_median(log_f0), voiced)
    ratio = 10.0 * np.log10(correlation / (1.0 - correlation))
    level = np.log10(energy + ENERGY_FLOOR)
    return np.stack([track, voiced, correlation, ratio, level], axis=1)


def _autocorrelation(
    spec: ProsodySpec, rows: np.ndarray, fft: ModuleType
) -> tuple[np.ndarray, np.ndarray]:
    """Returns r from lag 0 to one beyond the longest (rows, lags), and the energy (rows,)."""
    frames = (rows - rows.mean(axis=1, keepdims=True)) * pitch_window(spec)
    spectrum = fft.rfft(frames, spec.pitch_fft_points)
    squares = np.square(spectrum.real) + np.square(spectrum.imag)
    window = window_autocorrelation(spec)
    products = fft.irfft(squares, spec.pitch_fft_points)[:, : len(window)]
    energy = np.maximum(products[:, 0], 0.0)
    scale = energy + LEAST_MEAN_SQUARE * spec.pitch_frame_samples
    r = np.clip(products / scale[:, None] / window, -1.0, 1.0)
    return np.round(r * CORRELATION_STEPS) / CORRELATION_STEPS, energy


def _highest_peaks(spec: ProsodySpec, r: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Returns log2 F0 in Hz, r at its peak, and the energy, (3, rows)."""
    shortest, longest = spec.lags
    before, at, after = (r[:, shortest + k : longest + 1 + k] for k in (-1, 0, 1))
    is_peak = (at >= before) & (at >= after)
    score = np.where(is_peak, at - octave_costs(spec), -2.0)
    best = score.argmax(axis=1)[:, None]
    left, top, right = (np.take_along_axis(x, best, 1)[:, 0] for x in (before, at, after))
    # Without any peak there is no period, however high r is: a rumble below all voices.
    top = np.where(is_peak.any(axis=1), top, 0.0)
    period = shortest + best[:, 0] + _vertex(left, top, right)
    log_f0 = math.log2(spec.sample_rate_hz) - np.log2(period)
    return np.stack([log_f0, np.clip(top, *CORRELATION_RANGE), energy])


def _vertex(left: np.ndarray, top: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns where the parabola through three points is highest, -0.5 to 0.5; 0 for a plateau."""
    curvature = 2.0 * top - left - right
    bent = (top >= left) & (top >= right) & (curvature > 0.0)
    return np.where(bent, 0.5 * (right - left) / np.where(bent, curvature, 1.0), 0.0)


def _median(track: np.ndarray) -> np.ndarray:
    """Returns the median over 5 frames; the first and the last are repeated beyond the ends."""
    padded = np.pad(track, MEDIAN_FRAMES // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_FRAMES)
    return np.sort(windows, axis=1)[:, MEDIAN_FRAMES // 2]


def _without_gaps(track: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Returns the track with straight lines where it is not voiced."""
    if voiced.sum() < FEWEST_VOICED:
        return np.full_like(track, UNKNOWN_LOG2_F0)
    frames = np.arange(len(track))
    return np.interp(frames, frames[voiced], track[voiced])


def _level_values(spec: ProsodySpec, energies: np.ndarray) -> np.ndarray:
    """Returns loudness, flux, centroid, slope and low - high of mel energies (rows, num_mels)."""
    logs = np.log(energies)
    numbers = np.arange(spec.num_mels, dtype=np.float64)
    centred = numbers - numbers.mean()
    loudness = np.exp(LOUDNESS_EXPONENT * logs).sum(axis=1)
    flux = np.maximum(np.diff(logs, axis=0, prepend=logs[:1]), 0.0).mean(axis=1)
    total = energies.sum(axis=1)
    centroid = energies @ numbers / (total + CENTROID_FLOOR)
    slope = logs @ centred / np.square(centred).sum()
    low = energies[:, : spec.low_bands].sum(axis=1)
    high = energies[:, spec.low_bands :].sum(axis=1)
    return np.stack([loudness, flux, centroid, slope, np.log(low) - np.log(high)], axis=1)
