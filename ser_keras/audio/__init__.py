"""Recordings in, one form out: any accepted file becomes float32 mono at 16 kHz.

A recording is judged by its content, never by its name, and its header is compared with
`AudioLimits` before anything is decoded: an hour of silence is 89 kB of FLAC. libsndfile decodes
WAV, FLAC, Ogg, MP3, AIFF, AU, CAF, RF64 and W64 with any coding that it knows, whether or not their
header states a length; the program ffmpeg, where it is installed, decodes what telephones and
browsers record (MP4, WebM, AMR, WMA, AAC). 4 to 192 kHz and up to eight channels are accepted; the
channels are averaged. Everything else is refused by an `AudioError` whose `kind` is a stable word
for counters: missing, empty, not_audio, truncated, too_long, too_short, rate, channels, range,
not_finite, silent, opposed or unreadable.
"""

from ser_keras.audio.formats import check_raw
from ser_keras.audio.limits import SAMPLE_RATE_HZ, AudioLimits
from ser_keras.audio.reading import read_audio, read_bytes
from ser_keras.audio.streaming import audio_blocks, duration_s
from ser_keras.audio.writing import content_hash, write_wav

__all__ = [
    "SAMPLE_RATE_HZ",
    "AudioLimits",
    "audio_blocks",
    "check_raw",
    "content_hash",
    "duration_s",
    "read_audio",
    "read_bytes",
    "write_wav",
]
