"""Framing, windows and power spectra, which all features share: the fields and the computation.

One frame formula holds for all: frames start every hop, none is centred or padded, a signal
shorter than one frame is zero padded to one. Windows are periodic.

The speed comes from framing without copies, blocks that fit the cache, and float32 transforms where
they are exact enough: for magnitudes, and for the frames of a log-mel in which no filter is far
below the loudest. All else is transformed in float64 with a float64 window.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from ser_keras.errors import ConfigError

# Blocks that stay in the second-level cache: 1.7 times the speed of a whole utterance at once.
_BLOCK_BYTES = 2**17
_BLOCK_FRAMES = 32


@dataclass(frozen=True, kw_only=True)
class FrameSpec:
    """What a feature is, as data that travels with features and models.

    A spec knows its own dimension and frame count, and hashes to the same value wherever it is
    written down. The class of a kind adds its own fields, `dim` and `compute`; the other methods
    state facts of the values that it computes.

    Args:
        sample_rate_hz: int. Rate of the waveform.
        frame_length_s: float. Length of a frame.
        hop_s: float. Distance between the starts of two frames.
        fft_points: int. Length of the DFT; a shorter frame is zero padded.
        window: str. `"hann"` or `"hamming"`, periodic.
        trim_db: float or None. Before anything else, leading and trailing frames are dropped whose
            energy (mean square of the samples, without window) is more than this below the loudest
            frame; None keeps all.
    """

    sample_rate_hz: int = 16000
    frame_length_s: float = 0.025
    hop_s: float = 0.010
    fft_points: int = 400
    window: str = "hann"
    trim_db: float | None = None

    kind: ClassVar[str] = ""
    # Whether rows can be computed while the recording still goes on.
    streams: ClassVar[bool] = True
    # Packages beyond NumPy and SciPy whose versions decide the values.
    libraries: ClassVar[tuple[str, ...]] = ()
    # The values of the fields that are chosen from a few.
    choices: ClassVar[dict[str, tuple[Any, ...]]] = {"window": ("hann", "hamming")}

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, self._checked(field.name, field.type, value))
        if not self.frame_samples:
            self._refuse("frame_length_s", self.frame_length_s, "at least one sample")
        if self.frame_samples > self.fft_points:
            self._refuse("fft_points", self.fft_points, f"at least {self.frame_samples}")

    @property
    def frame_samples(self) -> int:
        """Length of a frame in samples."""
        return round(self.frame_length_s * self.sample_rate_hz)

    @property
    def hop_samples(self) -> int:
        """Distance between two frames in samples."""
        return max(1, round(self.hop_s * self.sample_rate_hz))

    @property
    def vector_samples(self) -> int:
        """Samples that one row of the features is computed from, apart from derivatives."""
        return self.frame_samples

    @property
    def vector_hop_samples(self) -> int:
        """Distance between the samples of two rows of the features."""
        return self.hop_samples

    @property
    def context_frames(self) -> int:
        """Frames on either side of a row that it depends on as well."""
        return 0

    @property
    def dim(self) -> int:
        """Number of values per row."""
        raise NotImplementedError

    @property
    def sha256(self) -> str:
        """Hash of the specification, the same in every process."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def num_frames(self, num_samples: int) -> int:
        """Returns the number of rows of a signal, before any trimming.

        Example:
            >>> [FrameSpec().num_frames(n) for n in (0, 400, 559, 560, 16000)]
            [1, 1, 1, 2, 98]
        """
        return 1 + max(0, num_samples - self.vector_samples) // self.vector_hop_samples

    def compute(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the features of a trimmed waveform, float32 (frames, dim).

        Args:
            waveform: float32 (samples,) at `sample_rate_hz`.

        Raises:
            ConfigError: the spec is of no kind.
        """
        raise ConfigError(
            f"features: found a spec of type {type(self).__name__}, expected a known one."
        )

    def value_names(self) -> tuple[str, ...]:
        """Returns what each value of a row is called, (dim,)."""
        return tuple(f"value {number}" for number in range(self.dim))

    def value_axis(self) -> tuple[np.ndarray, str]:
        """Returns the edges of the values of a row on their axis (dim + 1,), and its name."""
        return np.arange(self.dim + 1) - 0.5, "value (number)"

    def levels(self, features: np.ndarray) -> tuple[np.ndarray, str]:
        """Returns features as they are drawn, and the name of what is drawn."""
        return features, "value"

    def spectral_basis(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the spectrum that a row is a linear function of.

        Returns:
            The frequencies of its bins, float64 (bins,), increasing, and what each bin contributes
            to each value, float64 (bins, values), with orthonormal columns, or zeros for a value
            that has no frequency. None where a row has no such spectrum.
        """
        return None

    def to_dict(self) -> dict[str, Any]:
        """Returns all fields and the kind, ready for JSON; `spec_from_dict` is the inverse."""
        return {"kind": self.kind, **asdict(self)}

    def _checked(self, name: str, kind: Any, value: Any) -> Any:
        if name == "trim_db" and value is None:
            return None
        if kind is bool:
            if not isinstance(value, bool):
                self._refuse(name, value, "true or false")
            return value
        if name in self.choices:
            if isinstance(value, bool) or value not in self.choices[name]:
                self._refuse(name, value, f"one of {', '.join(map(str, self.choices[name]))}")
            return kind(value)
        whole = kind is int
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or (whole and value != int(value)):
            self._refuse(name, value, "a whole number" if whole else "a number")
        if value < 0 or (value == 0 and name != "fmin_hz"):
            self._refuse(name, value, "a positive number")
        return int(value) if whole else float(value)

    def _refuse(self, name: str, value: Any, expected: str) -> None:
        raise ConfigError(
            f"feature spec {self.kind}: found {name} = {value!r}, expected {expected}. Correct "
            f"{name}."
        )


def window(spec: FrameSpec) -> np.ndarray:
    """Returns the periodic window of a frame, float64 (frame_samples,)."""
    return periodic_window(spec.window, spec.frame_samples)


@lru_cache
def periodic_window(name: str, samples: int) -> np.ndarray:
    """Returns the periodic window `"hann"` or `"hamming"`, float64 (samples,)."""
    offset = {"hann": 0.5, "hamming": 0.54}[name]
    phase = 2.0 * math.pi * np.arange(samples) / samples
    return frozen(offset - (1.0 - offset) * np.cos(phase))


def frozen(array: np.ndarray) -> np.ndarray:
    """Returns the array, which can no longer be written to."""
    array.flags.writeable = False
    return array


def pieces(waveform: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Returns a view (pieces, length) of the waveform, one every `hop` samples, at least one."""
    if len(waveform) < length:
        waveform = np.pad(waveform, (0, length - len(waveform)))
    return np.lib.stride_tricks.sliding_window_view(waveform, length)[::hop]


def frames(spec: FrameSpec, waveform: np.ndarray) -> np.ndarray:
    """Returns a view (frames, frame_samples) of the waveform."""
    return pieces(waveform, spec.frame_samples, spec.hop_samples)


def loud_part(spec: FrameSpec, waveform: np.ndarray) -> slice:
    """Returns the samples that `trim_db` keeps: from the first loud frame to the last."""
    length, hop = spec.frame_samples, spec.hop_samples
    if spec.trim_db is None or len(waveform) < length:
        return slice(0, len(waveform))
    sums = np.concatenate(([0.0], np.cumsum(np.square(waveform, dtype=np.float64))))
    starts = np.arange(0, len(waveform) - length + 1, hop)
    energy = sums[starts + length] - sums[starts]
    loud = np.flatnonzero(energy >= energy.max() * 10.0 ** (-spec.trim_db / 10.0))
    return slice(int(starts[loud[0]]), int(starts[loud[-1]]) + length)


def fast_transforms() -> ModuleType:
    """Returns `scipy.fft`, which does up to three transforms in the time of one of NumPy's."""
    # Loaded when needed: a tenth of a second, for NumPy's suffice where there is one recording.
    import scipy.fft

    return scipy.fft


def power(
    spec: FrameSpec,
    frames: np.ndarray,
    num_bins: int,
    matrix: np.ndarray | None = None,
    fft: ModuleType | None = None,
) -> np.ndarray:
    """Returns |X|^2 of the lowest bins, or its product with a filter matrix.

    Args:
        spec: framing, window and DFT.
        frames: (frames, frame_samples). Transformed in their own precision: float32 takes half the
            time of float64, and is off by 1e-7 of the whole frame.
        num_bins: bins kept.
        matrix: float32 (num_bins, dim) or None.
        fft: module of the transforms, `fast_transforms()` when left out.

    Returns:
        float32 (frames, num_bins), or (frames, dim).
    """
    rfft = (fft or fast_transforms()).rfft
    weights = window(spec).astype(frames.dtype)
    result = np.empty((len(frames), num_bins if matrix is None else matrix.shape[1]), np.float32)
    step = max(_BLOCK_FRAMES, _BLOCK_BYTES // (spec.fft_points * weights.itemsize))
    padded = np.zeros((min(len(frames), step), spec.fft_points), weights.dtype)
    for start in range(0, len(frames), step):
        block = frames[start : start + step]
        rows = result[start : start + len(block)]
        np.multiply(block, weights, out=padded[: len(block), : spec.frame_samples])
        spectrum = rfft(padded[: len(block)])[:, :num_bins]
        parts = spectrum.astype(np.complex64, order="C", copy=False).view(np.float32)
        np.square(parts, out=parts)
        if matrix is None:
            np.add(parts[:, ::2], parts[:, 1::2], out=rows)
        else:
            np.matmul(parts[:, ::2] + parts[:, 1::2], matrix, out=rows)
    return result
