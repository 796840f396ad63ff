"""Recordings in, one form out: any accepted file becomes float32 mono at 16 kHz.

A recording is judged by its content, never by its name, and its header is compared with
`AudioLimits` before anything is decoded: an hour of silence is 89 kB of FLAC. WAV and FLAC are
accepted with any sample format that libsndfile reads, at 4 to 192 kHz, with up to eight channels,
which are averaged. Everything else is refused by an `AudioError` whose `kind` is a stable word for
counters: missing, empty, not_audio, truncated, too_long, too_short, rate, channels, not_finite,
silent or unreadable.
"""

from ser_keras.audio.limits import SAMPLE_RATE_HZ, AudioLimits
from ser_keras.audio.reading import read_audio, read_bytes
from ser_keras.audio.writing import content_hash, write_wav

__all__ = [
    "SAMPLE_RATE_HZ",
    "AudioLimits",
    "content_hash",
    "read_audio",
    "read_bytes",
    "write_wav",
]
