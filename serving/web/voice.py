"""What a model learns of the voice of the person at the page: statistics, no sound."""

from dataclasses import dataclass
from pathlib import Path

from ser_keras.audio import audio_blocks
from ser_keras.errors import AudioError, ConfigError
from ser_keras.features.speech import holds_speech, no_speech_error
from serving.client.audio_blocks import windows_of
from serving.client.speaker_statistics import Statistics
from serving.client.speech_client import SpeechClient
from serving.web.recognition import LIMITS, WINDOW_S, named

# Less speech says more of a mood than of a voice.
LEAST_S = 10.0


@dataclass(frozen=True)
class Voice:
    """A voice that a model knows.

    Args:
        model: str. Name of the model; no other takes these statistics.
        statistics: of the voice.
        duration_s: float. Seconds with speech that were measured.
    """

    model: str
    statistics: Statistics
    duration_s: float


def learn(client: SpeechClient, path: Path) -> Voice:
    """Returns what a model learns of the voice in a recording.

    The recording is measured in windows as long as those that are recognised later. Windows without
    speech are left out.

    Args:
        client: of the model.
        path: path of the recording.

    Raises:
        ConfigError: the model takes no enrolment.
        AudioError: no recording that can be read, no speech in it, or less than `LEAST_S`.
        ServerError: the server does not answer, or refuses.
    """
    if not client.adapts():
        raise ConfigError(f"{client.model} cannot get to know a voice. Choose another model.")
    rate = client.sample_rate_hz
    size = round(WINDOW_S * rate)
    with named(path):
        blocks = audio_blocks(path, sample_rate_hz=rate, limits=LIMITS)
        windows = [window for _, window in windows_of(blocks, size, size)]
    spoken = [window for window in windows if holds_speech(window)]
    duration_s = sum(map(len, spoken)) / rate
    if not spoken:
        raise no_speech_error(path.name, sum(map(len, windows)) / rate)
    if duration_s < LEAST_S:
        raise AudioError(
            f"{path.name}: found {duration_s:.0f} s of speech, expected {LEAST_S:g} s at least and "
            "better half a minute. Speak on, in your ordinary voice.",
            "too_short",
        )
    return Voice(client.model, client.enrol(spoken), duration_s)
