"""A small source-filter voice (Fant 1960): enough speech for trying a recogniser, and no more.

A phase that follows the pitch contour drives a glottal pulse (after Rosenberg 1971), each vowel
filters the pulse and some breath through four resonances, and every syllable starts with a short
fricative. All of one utterance is computed in a few FFTs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser_keras.audio import SAMPLE_RATE_HZ

# First two resonances of a grown man's vowels, after Peterson and Barney (1952), Table II.
VOWELS_HZ = {"a": (730, 1090), "e": (530, 1840), "i": (270, 2290), "o": (570, 840), "u": (300, 870)}

_HIGHER_RESONANCES_HZ = (2500, 3500)
_BANDWIDTHS_HZ = (80, 100, 140, 200)
_OPENING, _CLOSING = 0.4, 0.16
_SYLLABLES_PER_S = 4.5
_MARGIN_S = 0.1
_FRICATIVE_S = 0.05
_JITTER_KNOT_S = 0.01
_TILT_FROM_HZ = 250.0
_SILENCE_RMS = 2e-4


@dataclass(frozen=True)
class Voice:
    """What stays the same whenever one person speaks.

    Args:
        pitch_hz: float. Mean pitch.
        tract: float. Resonances relative to a grown man's; longer tracts have lower ones.
        tempo: float. Syllable rate relative to the usual.
        level_db: float. Loudness relative to the usual.
        tilt_db: float. Slope of the spectrum per octave; higher is brighter.
    """

    pitch_hz: float
    tract: float
    tempo: float
    level_db: float
    tilt_db: float


@dataclass(frozen=True)
class Tone:
    """How one utterance is spoken, relative to its voice.

    Args:
        pitch_semitones: float. Level of the pitch.
        range_semitones: float. Fall over the utterance, and scale of its accents.
        tempo: float. Factor on the syllable rate.
        level_db: float. Loudness.
        tilt_db: float. Slope of the spectrum per octave.
        tract: float. Factor on the resonances; a smile raises them.
    """

    pitch_semitones: float
    range_semitones: float
    tempo: float
    level_db: float
    tilt_db: float
    tract: float

    def vary(self, rng: np.random.Generator) -> "Tone":
        """Returns this tone as one utterance happens to have it; neighbouring tones overlap."""
        return Tone(
            self.pitch_semitones + rng.normal(0, 1.0),
            self.range_semitones * rng.lognormal(0, 0.3),
            self.tempo * rng.lognormal(0, 0.1),
            self.level_db + rng.normal(0, 1.5),
            self.tilt_db + rng.normal(0, 0.6),
            self.tract * rng.lognormal(0, 0.02),
        )


# Level and range of pitch, tempo, loudness and slope move as reported for real speech: Scherer
# (2003), Speech Communication 40, 227-256.
TONES = {
    "angry": Tone(3, 5, 1.2, 6, 3, 1.02),
    "happy": Tone(5, 8, 1.1, 2, 0.5, 1.08),
    "neutral": Tone(0, 3, 1.0, 0, 0, 1.0),
    "sad": Tone(-2, 1.5, 0.75, -4, -2, 0.97),
}


def person(number: int, seed: int) -> Voice:
    """Returns the voice of one made-up person; odd numbers are women."""
    rng = np.random.default_rng([seed, number])
    woman = number % 2 == 1
    return Voice(
        pitch_hz=rng.uniform(170, 240) if woman else rng.uniform(95, 145),
        tract=rng.uniform(1.1, 1.2) if woman else rng.uniform(0.92, 1.02),
        tempo=rng.lognormal(0, 0.08),
        level_db=rng.normal(0, 1.5),
        tilt_db=rng.normal(0, 0.4),
    )


def speak(vowels: Sequence[str], voice: Voice, tone: Tone, rng: np.random.Generator) -> np.ndarray:
    """Returns one utterance, one syllable for each vowel.

    Args:
        vowels: names in `VOWELS_HZ`.
        voice: who speaks.
        tone: in which way.
        rng: the only source of chance.

    Returns:
        float32 (samples,), 16 kHz, within -1..1.

    Example:
        >>> man = Voice(pitch_hz=110, tract=1.0, tempo=1.0, level_db=0.0, tilt_db=0.0)
        >>> rng = np.random.default_rng(0)
        >>> speak("aei", man, Tone(0, 3, 1.0, 0, 0, 1.0), rng).dtype
        dtype('float32')
    """
    rate = _SYLLABLES_PER_S * voice.tempo * tone.tempo
    lengths_s = rng.lognormal(0, 0.12, len(vowels)) / rate
    starts_s = _MARGIN_S + np.concatenate([[0.0], np.cumsum(lengths_s)])
    time_s = np.arange(int((starts_s[-1] + _MARGIN_S) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    source = _pulses(_pitch_hz(time_s, starts_s, voice, tone, rng), rng)
    noise = rng.normal(0, 1, time_s.size)
    size = 1 << int(time_s.size + SAMPLE_RATE_HZ // 10).bit_length()
    spectrum = np.zeros(size // 2 + 1, complex)
    for vowel, start, length in zip(vowels, starts_s, lengths_s, strict=False):
        voiced = source * _bump(time_s, start + _FRICATIVE_S / 2, start + length)
        spectrum += np.fft.rfft(voiced, size) * _resonances(size, vowel, voice.tract * tone.tract)
    spectrum *= 10 ** ((voice.tilt_db + tone.tilt_db) * _octaves(size) / 20)
    speech = np.fft.irfft(spectrum, size)[: time_s.size]
    speech /= np.sqrt(np.mean(speech**2))
    hiss = np.diff(noise, n=2, prepend=[0.0, 0.0])
    speech += 0.05 * hiss * sum(_bump(time_s, s, s + _FRICATIVE_S) for s in starts_s[:-1])
    level = 10 ** ((voice.level_db + tone.level_db - 26) / 20)
    return np.clip(level * speech + _SILENCE_RMS * noise, -1, 1).astype(np.float32)


def _pitch_hz(
    time_s: np.ndarray,
    starts_s: np.ndarray,
    voice: Voice,
    tone: Tone,
    rng: np.random.Generator,
) -> np.ndarray:
    fall = np.linspace(0.5, -0.5, starts_s.size) * tone.range_semitones
    accents = rng.normal(0, 0.4, starts_s.size) * tone.range_semitones
    knots_s = np.arange(0, time_s[-1] + 2 * _JITTER_KNOT_S, _JITTER_KNOT_S)
    jitter = np.interp(time_s, knots_s, rng.normal(0, 0.15, knots_s.size))
    semitones = tone.pitch_semitones + np.interp(time_s, starts_s, fall + accents) + jitter
    return voice.pitch_hz * 2 ** (semitones / 12)


def _pulses(pitch_hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    phase = np.cumsum(pitch_hz) / SAMPLE_RATE_HZ % 1
    opening = 0.5 - 0.5 * np.cos(np.pi * phase / _OPENING)
    closing = np.cos(0.5 * np.pi * (phase - _OPENING) / _CLOSING)
    closed = phase >= _OPENING + _CLOSING
    flow = np.where(phase < _OPENING, opening, np.where(closed, 0.0, closing))
    breath = 0.02 * (0.3 + flow) * rng.normal(0, 1, flow.size)
    return np.diff(flow, prepend=0.0) + breath


def _resonances(size: int, vowel: str, tract: float) -> np.ndarray:
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    damping = np.ones(frequency_hz.size, complex)
    for centre_hz, width_hz in zip(
        (*VOWELS_HZ[vowel], *_HIGHER_RESONANCES_HZ), _BANDWIDTHS_HZ, strict=True
    ):
        ratio = frequency_hz / (centre_hz * tract)
        damping *= 1 - ratio**2 + 1j * ratio * (width_hz / (centre_hz * tract))
    return 1 / damping


def _octaves(size: int) -> np.ndarray:
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    return np.log2(np.maximum(frequency_hz, _TILT_FROM_HZ) / _TILT_FROM_HZ)


def _bump(time_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Returns 0 outside, 1 inside, and a soft edge between; most of the time axis is skipped."""
    window = np.zeros(time_s.size)
    first, last = (round(second * SAMPLE_RATE_HZ) for second in (start_s, end_s))
    inside = time_s[first:last]
    edge_s = min(0.03, (end_s - start_s) / 2)
    ramp = np.minimum(inside - start_s, end_s - inside) / edge_s
    window[first:last] = np.sin(0.5 * np.pi * np.clip(ramp, 0, 1)) ** 2
    return window
