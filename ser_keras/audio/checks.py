"""Checks of a recording's header and samples; each raises an `AudioError`."""

import numpy as np

from ser_keras.audio.limits import AudioLimits
from ser_keras.errors import AudioError

# Loud floats go to 8 or so; integers that were never divided begin far above.
_LARGEST_SAMPLE = 100.0
# Whole numbers of so many bits have the scale of the divisor.
_INTEGER_SCALES = {16: 2**15, 24: 2**23, 32: 2**31}
# The mean of unrelated channels lies 3 dB below them, that of one active channel of eight 9 dB.
_OPPOSED_RATIO = 10 ** (-40 / 10)


def check_header(rate_hz: int, num_channels: int, limits: AudioLimits, where: str) -> None:
    """Refuses a sampling rate or a number of channels outside the limits."""
    if not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz:
        raise AudioError(
            f"{where}: found a sampling rate of {rate_hz} Hz, expected {limits.min_rate_hz} to "
            f"{limits.max_rate_hz} Hz. Resample the recording, or mend its header.",
            "rate",
        )
    if not 1 <= num_channels <= limits.max_channels:
        raise AudioError(
            f"{where}: found {num_channels} channels, expected 1 to {limits.max_channels}. Mix the "
            "recording down, or pick its channel with the speaker.",
            "channels",
        )


def check_duration(num_frames: int, rate_hz: int, limits: AudioLimits, where: str) -> None:
    """Refuses a recording that is too long or too short."""
    duration_s = num_frames / rate_hz
    if duration_s > limits.max_duration_s:
        raise too_long(f"{duration_s:.1f} s", limits, where)
    if duration_s < limits.min_duration_s:
        samples = "1 sample" if num_frames == 1 else f"{num_frames} samples"
        raise AudioError(
            f"{where}: found {samples} ({duration_s:.4f} s), expected at least "
            f"{limits.min_duration_s:g} s. Record it again.",
            "too_short",
        )


def too_long(duration: str, limits: AudioLimits, where: str) -> AudioError:
    """Returns the error for a recording of that duration."""
    return AudioError(
        f"{where}: found {duration}, expected at most {limits.max_duration_s:g} s. Cut the "
        "recording into utterances (in Python, the argument `limits=` allows more).",
        "too_long",
    )


def check_range(samples: np.ndarray, where: str) -> None:
    """Refuses samples that are not finite, or whose scale is not about -1 to 1."""
    if not samples.size:
        return
    peak = max(float(samples.max()), -float(samples.min()))
    if peak <= _LARGEST_SAMPLE:
        return
    if not np.isfinite(peak):
        sample = "NaN" if np.isnan(peak) else "an infinite sample"
        raise AudioError(
            f"{where}: found {sample}, expected finite samples of about -1 to 1. Export the "
            "recording again as 16-bit WAV.",
            "not_finite",
        )
    scales = ((bits, scale) for bits, scale in _INTEGER_SCALES.items() if peak <= scale)
    bits, scale = next(scales, (0, 0))
    cure = (
        f"These look like {bits}-bit values stored as floats: divide by {scale}."
        if bits
        else "Export the recording again as 16-bit WAV."
    )
    raise AudioError(
        f"{where}: found samples up to {peak:.6g}, expected about -1 to 1. {cure}", "range"
    )


def check_not_silent(power: float, num_frames: int, where: str) -> None:
    """Refuses a recording whose samples are all zero.

    Args:
        power: mean square over all samples of all channels.
        num_frames: how many samples each channel has.
        where: name of the recording.
    """
    if power == 0.0:
        raise AudioError(
            f"{where}: found {num_frames} samples that are all zero, expected speech. Record it "
            "again.",
            "silent",
        )


def check_not_opposed(mono_power: float, power: float, num_channels: int, where: str) -> None:
    """Refuses channels whose mean is no sound although they are.

    Args:
        mono_power: mean square of the mean of the channels.
        power: mean square over the samples of all channels.
        num_channels: how many there are.
        where: name of the recording.
    """
    if power > 0.0 and mono_power < _OPPOSED_RATIO * power:
        count = "two" if num_channels == 2 else num_channels
        raise AudioError(
            f"{where}: found {count} channels that cancel each other (opposite polarity), expected "
            "channels whose mean is the speech. Use one of the channels: ffmpeg -i in.wav -af "
            "'pan=mono|c0=c0' out.wav.",
            "opposed",
        )
