"""The sampling rate of decoded audio, and the limits that a recording's header has to keep."""

from dataclasses import dataclass

SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True)
class AudioLimits:
    """Limits on a recording's header, checked before it is decoded.

    Args:
        max_duration_s: float. Longest recording.
        min_rate_hz: int. Lowest sampling rate.
        max_rate_hz: int. Highest sampling rate.
        max_channels: int. Most channels.
        min_duration_s: float. Shortest recording.
    """

    max_duration_s: float = 600.0
    min_rate_hz: int = 4000
    max_rate_hz: int = 192000
    max_channels: int = 8
    min_duration_s: float = 0.05


DEFAULT_LIMITS = AudioLimits()
