"""What happens to speech between a mouth and a file: rooms, noise, telephones, codecs, microphones.

Recordings of a studio are turned into what users send. Every function is (waveform, generator) ->
waveform of the same length, at 16 kHz; the generator decides how large the room is, how loud the
noise, and so on, so that a seed gives the same recording on the same machine.
"""

from collections.abc import Callable, Mapping

import numpy as np

from ser_keras.degradation.channels import codec, laptop, telephone
from ser_keras.degradation.surroundings import noise, room
from ser_keras.errors import ConfigError, unknown_name

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

DEGRADATIONS: Mapping[str, Degradation] = {
    "room": room,
    "noise": noise,
    "telephone": telephone,
    "codec": codec,
    "laptop": laptop,
}


def degrade(name: str, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a recording as it would be after a degradation, float32 (samples,) of -1..1.

    Args:
        name: of `DEGRADATIONS`.
        waveform: float (samples,) of -1..1, at 16 kHz.
        rng: decides the degree.

    Raises:
        ConfigError: no such degradation; the nearest are suggested.
    """
    if name not in DEGRADATIONS:
        raise ConfigError(unknown_name("degradation", name, DEGRADATIONS))
    degraded = DEGRADATIONS[name](np.asarray(waveform, np.float64), rng)
    return np.clip(degraded, -1.0, 1.0).astype(np.float32)


__all__ = ["DEGRADATIONS", "Degradation", "degrade"]
