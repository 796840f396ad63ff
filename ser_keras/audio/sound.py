"""A recording while it is decoded, and the mean of its channels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ser_keras.audio.checks import (
    check_duration,
    check_not_opposed,
    check_not_silent,
    check_range,
    too_long,
)
from ser_keras.audio.limits import AudioLimits

# Decoders hand over at most so many frames at once: memory follows the content, not the header.
BLOCK_FRAMES = 2**18


@dataclass(frozen=True)
class Sound:
    """A recording whose header has been read and checked.

    Args:
        rate_hz: int. Its sampling rate.
        num_channels: int.
        num_frames: int or None. Samples of each channel by its header; None if that states none.
        blocks: iterator of float32 (frames, channels). Decodes; raises an `AudioError` where the
            recording ends before it should.
    """

    rate_hz: int
    num_channels: int
    num_frames: int | None
    blocks: Iterator[np.ndarray]


class Mixdown:
    """The mean of a sound's channels, checked while it is decoded.

    Args:
        sound: it is read once.
        limits: for its duration, whatever the header states.
        where: its name in errors.
    """

    def __init__(self, sound: Sound, limits: AudioLimits, where: str):
        self._sound = sound
        self._limits = limits
        self._where = where
        self._num_frames = 0
        self._energy = 0.0
        self._mono_energy = 0.0

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields float32 (frames,), and checks range and longest duration on the way.

        Raises:
            AudioError: too_long, range, not_finite, or what the decoder raises.
        """
        longest = self._limits.max_duration_s * self._sound.rate_hz
        for block in self._sound.blocks:
            self._num_frames += len(block)
            if self._num_frames > longest:
                duration = f"more than {self._limits.max_duration_s:g} s"
                raise too_long(duration, self._limits, self._where)
            check_range(block, self._where)
            mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
            self._energy += _energy(block) / block.shape[1]
            self._mono_energy += _energy(mono)
            yield mono

    def check_channels(self) -> None:
        """Refuses channels that have cancelled each other so far, as opposed."""
        check_not_opposed(self._mono_energy, self._energy, self._sound.num_channels, self._where)

    def check_whole(self) -> None:
        """Refuses a recording that was too short, silent or opposed from beginning to end."""
        check_duration(self._num_frames, self._sound.rate_hz, self._limits, self._where)
        check_not_silent(self._energy, self._num_frames, self._where)
        self.check_channels()


def _energy(samples: np.ndarray) -> float:
    return float(np.square(samples, dtype=np.float64).sum())
