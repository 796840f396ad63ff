"""Feature specifications: what a feature is, as data that travels with features and models.

A spec is frozen, knows its own dimension and frame count, and hashes to the same value wherever
it is written down. `ser_keras.features.extract` computes it; the served front end repeats it.

One frame formula holds for all: frames start every hop, none is centred or padded, a signal
shorter than one frame is zero padded to one. Windows are periodic; mel filters are triangles of
equal area (librosa's `norm="slaney"`) on the Slaney or the HTK scale.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar

from ser_keras.errors import ConfigError, unknown_name

_CHOICES = {
    "window": ("hann", "hamming"),
    "mel_scale": ("slaney", "htk"),
    "scale": ("db", "magnitude"),
    "num_deltas": (0, 1, 2),
    "statistics": ("mean", "mean_std", "frames"),
}


@dataclass(frozen=True, kw_only=True)
class FrameSpec:
    """Framing, shared by all features.

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
    def dim(self) -> int:
        """Number of values per frame."""
        raise NotImplementedError

    @property
    def sha256(self) -> str:
        """Hash of the specification, the same in every process."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def num_frames(self, num_samples: int) -> int:
        """Returns the number of frames of a signal, before any trimming.

        Example:
            >>> [SPECS["logmel40"].num_frames(n) for n in (0, 400, 559, 560, 16000)]
            [1, 1, 1, 2, 98]
        """
        return 1 + max(0, num_samples - self.frame_samples) // self.hop_samples

    def to_dict(self) -> dict[str, Any]:
        """Returns all fields and the kind, ready for JSON; `spec_from_dict` is the inverse."""
        return {"kind": self.kind, **asdict(self)}

    def _checked(self, name: str, kind: Any, value: Any) -> Any:
        if name == "trim_db" and value is None:
            return None
        if name in _CHOICES:
            if isinstance(value, bool) or value not in _CHOICES[name]:
                self._refuse(name, value, f"one of {', '.join(map(str, _CHOICES[name]))}")
            return kind(value)
        whole = kind is int
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or (whole and value != int(value)):
            self._refuse(name, value, "a whole number" if whole else "a number")
        if value < 0 or (value == 0 and name != "fmin_hz"):
            self._refuse(name, value, "a positive number")
        return int(value) if whole else float(value)

    def _refuse(self, name: str, found: Any, expected: str) -> None:
        raise ConfigError(
            f"feature spec {self.kind}: found {name} = {found!r}, expected {expected}. Correct "
            f"{name}."
        )


@dataclass(frozen=True, kw_only=True)
class MelSpec(FrameSpec):
    """Mel filters and derivatives, shared by `LogMelSpec` and `MfccSpec`.

    Args:
        num_mels: int. Number of mel filters.
        fmin_hz: float. Lower edge of the lowest filter.
        fmax_hz: float. Upper edge of the highest filter.
        mel_scale: str. `"slaney"` (librosa's default) or `"htk"`.
        floor: float. Smallest mel energy.
        num_deltas: int. 0, 1 (first derivative appended) or 2 (first and second), regression over
            9 frames with the edge frame repeated.
    """

    num_mels: int = 40
    fmin_hz: float = 0.0
    fmax_hz: float = 8000.0
    mel_scale: str = "slaney"
    floor: float = 1e-6
    num_deltas: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            expected = f"more than fmin_hz and at most {self.sample_rate_hz / 2:g}"
            self._refuse("fmax_hz", self.fmax_hz, expected)


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
    """

    window_s: float = 2.0
    window_hop_s: float = 1.0
    statistics: str = "mean"

    kind: ClassVar[str] = "mfcc_windows"

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
    def dim(self) -> int:
        """Number of values per window."""
        vectors = {"mean": 1, "mean_std": 2, "frames": super().num_frames(self.window_samples)}
        return super().dim * vectors[self.statistics]

    def num_frames(self, num_samples: int) -> int:
        """Returns the number of windows of a signal, before any trimming.

        Example:
            >>> [SPECS["mfcc40-windows"].num_frames(n) for n in (0, 32000, 47999, 48000)]
            [1, 1, 1, 2]
        """
        return 1 + max(0, num_samples - self.window_samples) // self.window_hop_samples


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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_bins > self.fft_points // 2 + 1:
            self._refuse("num_bins", self.num_bins, f"at most {self.fft_points // 2 + 1}")

    @property
    def dim(self) -> int:
        """Number of values per frame."""
        return self.num_bins


KINDS = MappingProxyType(
    {kind.kind: kind for kind in (LogMelSpec, MfccSpec, MfccWindowsSpec, SpectrogramSpec)}
)

SPECS = MappingProxyType(
    {
        "logmel23": LogMelSpec(num_mels=23),
        "logmel40": LogMelSpec(),
        "logmel40-deltas": LogMelSpec(num_deltas=2),
        "mfcc40": MfccSpec(),
        "mfcc40-delta": MfccSpec(num_deltas=1),
        "mfcc40-windows": MfccWindowsSpec(),
        "mfcc40-windows-std": MfccWindowsSpec(statistics="mean_std"),
        "mfcc40-windows-frames": MfccWindowsSpec(statistics="frames"),
        "mfcc40-windows-short": MfccWindowsSpec(window_s=0.5, window_hop_s=0.25),
        "mfcc40-windows-short-std": MfccWindowsSpec(
            window_s=0.5, window_hop_s=0.25, statistics="mean_std"
        ),
        # librosa's default rate, frame and hop.
        "mfcc40-windows-22k": MfccWindowsSpec(
            sample_rate_hz=22050,
            frame_length_s=2048 / 22050,
            hop_s=512 / 22050,
            fft_points=2048,
            fmax_hz=11025.0,
        ),
        "spectrogram200": SpectrogramSpec(),
        "spectrogram400": SpectrogramSpec(fft_points=1600, num_bins=400, scale="magnitude"),
    }
)


def get_spec(name: str, **overrides: Any) -> FrameSpec:
    """Returns the spec called `name`, with some of its fields changed.

    Raises:
        ConfigError: no such spec or field (the nearest are suggested), or a value that cannot be.

    Example:
        >>> get_spec("mfcc40", num_deltas=1, trim_db=35).dim
        80
    """
    if name not in SPECS:
        raise ConfigError(unknown_name("feature spec", name, SPECS))
    spec = SPECS[name]
    _check_fields(type(spec), overrides)
    return replace(spec, **overrides)


def spec_from_dict(values: Mapping[str, Any]) -> FrameSpec:
    """Returns the spec that `to_dict` wrote down.

    Raises:
        ConfigError: unknown kind or field, or a value that cannot be.

    Example:
        >>> spec_from_dict(SPECS["mfcc40"].to_dict()) == SPECS["mfcc40"]
        True
    """
    known = dict(values)
    kind = str(known.pop("kind", "(none)"))
    if kind not in KINDS:
        raise ConfigError(unknown_name("kind of feature", kind, KINDS))
    _check_fields(KINDS[kind], known)
    return KINDS[kind](**known)


def _check_fields(kind: type[FrameSpec], given: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            raise ConfigError(unknown_name(f"field of {kind.kind} features", name, known))
