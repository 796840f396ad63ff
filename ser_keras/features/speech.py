"""Whether there is speech in a waveform: no answer is given where there is nothing to hear.

The limits are far below what speech has. Of 1,324 recordings of EmoDB, RAVDESS and nEMO the lowest
values are 130 ms, 0.08 octaves and 2.0; with white noise as loud as the voice they are 70 ms, 0.08
octaves and 0.86. Noise has no voiced run of 50 ms; a tone or a hum has a pitch that stands still.
"""

from pathlib import Path

import numpy as np

from ser_keras.audio import SAMPLE_RATE_HZ, read_audio
from ser_keras.errors import AudioError, NoSpeechError
from ser_keras.features.frames import loud_part
from ser_keras.features.kinds.prosody import PROSODY_NAMES, ProsodySpec

# Longest run of voiced frames of 10 ms, deviation of log2 F0 over the voiced frames, and mean
# deviation of the log-mel energies over time.
LEAST_VOICED_FRAMES = 5
LEAST_PITCH_DEVIATION = 0.015
LEAST_LEVEL_DEVIATION = 0.75
# Longer recordings are judged piece by piece, and the first piece with speech decides.
PIECE_S = 10.0


def holds_speech(waveform: np.ndarray) -> bool:
    """Tells whether a voice can be heard somewhere in a waveform.

    It is voiced for at least 50 ms, and both its pitch and its spectrum change. Whispering and
    single vowels sung on one note do not count as speech.

    Args:
        waveform: float (samples,) at 16 kHz.

    Example:
        >>> time = np.arange(16000) / 16000
        >>> holds_speech(np.sin(2 * np.pi * 440 * time)), holds_speech(np.zeros(16000))
        (False, False)
    """
    size = round(PIECE_S * SAMPLE_RATE_HZ)
    pieces = (waveform[start : start + size] for start in range(0, len(waveform), size))
    return any(_voice_in(piece) for piece in pieces)


def check_speech(waveform: np.ndarray, where: str) -> None:
    """Refuses a waveform without speech.

    Args:
        waveform: float (samples,) at 16 kHz.
        where: str. Name of the recording, for the error.

    Raises:
        NoSpeechError: no voice can be heard.
    """
    if not holds_speech(waveform):
        raise no_speech_error(where, len(waveform) / SAMPLE_RATE_HZ)


def read_speech(path: str | Path, sample_rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """Returns a recording of which an answer is wanted, float32 (samples,); see `read_audio`.

    Raises:
        NoSpeechError: there is no voice in it: it is all zero, too short for one, or something
            else.
        AudioError: it cannot be used for another reason.
    """
    try:
        waveform = read_audio(path, sample_rate_hz=sample_rate_hz)
    except AudioError as error:
        raise refusal_of(error, path) from None
    check_speech(waveform, str(path))
    return waveform


def refusal_of(error: AudioError, path: str | Path) -> AudioError:
    """Returns the refusal of a recording, as a `NoSpeechError` where it is silent or a mere click.

    Args:
        error: of `ser_keras.audio`.
        path: of the recording, as the error names it.
    """
    if error.kind not in ("silent", "too_short"):
        return error
    reason = str(error).removeprefix(f"{path}: found ")
    return NoSpeechError(f"{path}: no speech found: {reason}")


def no_speech_error(where: str, duration_s: float) -> NoSpeechError:
    """Returns the refusal of a recording without speech."""
    return NoSpeechError(
        f"{where}: no speech found in {duration_s:.2f} s, expected a voice. See whether the "
        "microphone is muted or another one is in use, and record it again."
    )


def _voice_in(waveform: np.ndarray) -> bool:
    spec = ProsodySpec(trim_db=35)
    if len(waveform) < spec.vector_samples or not waveform.any():
        return False
    waveform = np.asarray(waveform, np.float32)
    # One recording is transformed before SciPy's faster transforms are imported.
    features = spec.compute(waveform[loud_part(spec, waveform)], np.fft)
    mels, prosody = features[:, : spec.num_mels], features[:, spec.num_mels :]
    voiced = prosody[:, PROSODY_NAMES.index("voiced")] > 0.5
    log2_f0 = prosody[voiced, PROSODY_NAMES.index("log2 F0")]
    return bool(
        longest_run(voiced) >= LEAST_VOICED_FRAMES
        and log2_f0.std() >= LEAST_PITCH_DEVIATION
        and mels.std(axis=0).mean() >= LEAST_LEVEL_DEVIATION
    )


def longest_run(flags: np.ndarray) -> int:
    """Returns the length of the longest run of True, 0 without any.

    Example:
        >>> longest_run(np.array([True, False, True, True]))
        2
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
