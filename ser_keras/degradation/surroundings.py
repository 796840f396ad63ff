"""Where speech is recorded: the echo of a room, and noise behind the voice."""

import numpy as np
from scipy.signal import fftconvolve

from ser_keras.audio import SAMPLE_RATE_HZ

REVERBERATION_S = (0.2, 0.7)  # Time until an echo has lost 60 dB: a furnished room to a hall.
DIRECT_TO_ECHO_DB = (0.0, 12.0)  # Far from the microphone to close.
SIGNAL_TO_NOISE_DB = (5.0, 25.0)  # A street to a quiet office.
NOISE_SLOPE = (0.0, 1.0)  # Power falls by frequency ** -slope: white to pink.


def room(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns speech with the echo of a room, at the level that it had.

    The echo is noise that decays exponentially (Polack's model of late reverberation), behind the
    direct sound.
    """
    reverberation_s = rng.uniform(*REVERBERATION_S)
    time_s = np.arange(round(reverberation_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    echo = rng.standard_normal(len(time_s)) * 10.0 ** (-3.0 * time_s / reverberation_s)
    echo[: SAMPLE_RATE_HZ // 400] = 0.0  # Nothing comes back within 2.5 ms.
    echo *= _ratio(-rng.uniform(*DIRECT_TO_ECHO_DB)) / np.linalg.norm(echo)
    echo[0] = 1.0
    return at_level(fftconvolve(waveform, echo)[: len(waveform)], rms(waveform))


def noise(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns speech with steady noise behind it, white to pink."""
    spectrum = np.fft.rfft(rng.standard_normal(len(waveform)))
    frequency = np.maximum(np.arange(len(spectrum)), 1)
    spectrum *= frequency ** (-rng.uniform(*NOISE_SLOPE) / 2)
    behind = np.fft.irfft(spectrum, len(waveform))
    return waveform + at_level(behind, rms(waveform) * _ratio(-rng.uniform(*SIGNAL_TO_NOISE_DB)))


def rms(waveform: np.ndarray) -> float:
    """Returns the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(waveform))))


def at_level(waveform: np.ndarray, level: float) -> np.ndarray:
    """Returns a waveform scaled to a root mean square; silence stays silence."""
    return waveform * (level / max(rms(waveform), 1e-12))


def _ratio(decibels: float) -> float:
    return float(10.0 ** (decibels / 20.0))
