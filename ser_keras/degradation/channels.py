"""What records and sends speech: telephones, lossy codecs and the microphones of laptops."""

import io

import numpy as np
import soundfile
from scipy.signal import butter, sosfilt

from ser_keras.audio import SAMPLE_RATE_HZ
from ser_keras.degradation.surroundings import at_level, noise, rms, room

TELEPHONE_HZ = (300.0, 3400.0)
MU = 255.0  # Of ITU-T G.711.
CODECS = (("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"))
COMPRESSION = (0.7, 1.0)  # libsndfile's scale, 1 for the fewest bits.
LEVEL_DB = (-40.0, -10.0)  # Root mean square of a laptop's recording, relative to full scale.
HIGH_PASS_HZ = (80.0, 250.0)
RESONANCE_HZ = (800.0, 4000.0)
RESONANCE_DB = (-8.0, 8.0)
CLIPPED = 0.15  # Share of recordings whose peaks are cut off.


def telephone(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns speech of a telephone: 300 to 3400 Hz, 8 bits on the mu-law scale, some noise."""
    band = butter(4, TELEPHONE_HZ, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    narrow = sosfilt(band, noise(waveform, rng))
    peak = max(float(np.abs(narrow).max()), 1e-9)
    level = np.log1p(MU * np.abs(narrow) / peak) / np.log1p(MU)
    level = np.round(level * 127.0) / 127.0
    return np.sign(narrow) * np.expm1(level * np.log1p(MU)) / MU * peak


def codec(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns speech after a lossy codec: MP3, Vorbis or Opus at few bits per second."""
    name, subtype = CODECS[rng.integers(len(CODECS))]
    stream = io.BytesIO()
    soundfile.write(
        stream,
        waveform.astype(np.float32),
        SAMPLE_RATE_HZ,
        format=name,
        subtype=subtype,
        compression_level=rng.uniform(*COMPRESSION),
    )
    stream.seek(0)
    decoded, _ = soundfile.read(stream, dtype="float64")
    return np.pad(decoded, (0, max(0, len(waveform) - len(decoded))))[: len(waveform)]


def laptop(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns speech of a laptop on a table: a room, a resonance, few lows, any level, noise."""
    high_pass = butter(2, rng.uniform(*HIGH_PASS_HZ), "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    colored = sosfilt(high_pass, room(waveform, rng))
    colored = sosfilt(_peak(rng.uniform(*RESONANCE_HZ), rng.uniform(*RESONANCE_DB)), colored)
    quiet = at_level(noise(colored, rng), 10.0 ** (rng.uniform(*LEVEL_DB) / 20.0))
    if rng.random() < CLIPPED:
        quiet = np.clip(quiet, -4.0 * rms(quiet), 4.0 * rms(quiet))
    return np.round(quiet * 32767.0) / 32767.0


def _peak(center_hz: float, gain_db: float) -> np.ndarray:
    """Returns a resonance of quality 1 as second-order sections (Audio EQ Cookbook, peaking)."""
    gain = 10.0 ** (gain_db / 40.0)
    angle = 2.0 * np.pi * center_hz / SAMPLE_RATE_HZ
    width, middle = np.sin(angle) / 2.0, -2.0 * np.cos(angle)
    numerator = [1.0 + width * gain, middle, 1.0 - width * gain]
    denominator = [1.0 + width / gain, middle, 1.0 - width / gain]
    return np.array([[*numerator, *denominator]]) / denominator[0]
