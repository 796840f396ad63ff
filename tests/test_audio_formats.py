"""What users bring beside whole WAV and FLAC files: other formats, no length, odd levels."""

import math
import shutil
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from ser_keras.audio import AudioLimits, audio_blocks, duration_s, ffmpeg, read_audio, read_bytes
from ser_keras.errors import AudioError
from tests.bad_audio import (
    FLOAT,
    encoded,
    flac_from_a_pipe,
    flac_that_promises,
    mutations,
    voice,
    w64_of_no_length,
    wav,
    wav_of_no_length,
)

ENDLESS = AudioLimits(max_duration_s=math.inf)


def speech(seconds: float, rate: int = 16000) -> np.ndarray:
    """Returns float64 (samples, 1) of 16 bits: a tone that swells, with a little noise."""
    time_s = np.arange(round(seconds * rate))[:, None] / rate
    swelling = 0.4 * np.sin(2 * np.pi * 200 * time_s) * (1 + np.sin(2 * np.pi * 3 * time_s)) / 2
    return np.round((swelling + voice(seconds, rate) / 50) * 2**15) / 2**15


SPEECH = speech(2.5)
# Container, coding, whether the samples come back as they were.
LIBSNDFILE = [
    ("WAV", "PCM_16", True),
    ("WAV", "GSM610", False),
    ("WAV", "ULAW", False),
    ("WAV", "IMA_ADPCM", False),
    ("AIFF", "PCM_16", True),
    ("AU", "PCM_16", True),
    ("CAF", "PCM_16", True),
    ("RF64", "PCM_16", True),
    ("W64", "PCM_16", True),
    ("FLAC", "PCM_16", True),
    ("OGG", "VORBIS", False),
    ("OGG", "OPUS", False),
    ("MP3", None, False),
]
# Ending, ffmpeg's options.
FOREIGN = {
    "m4a": ("-c:a", "aac", "-b:a", "96k"),
    "3gp": ("-c:a", "aac", "-b:a", "96k"),
    "webm": ("-c:a", "libopus", "-b:a", "96k"),
    "mka": ("-c:a", "flac"),
    "aac": ("-c:a", "aac", "-b:a", "96k"),
    "wma": ("-c:a", "wmav2", "-b:a", "128k"),
}
needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed, so nothing decodes these"
)


def refusal(read, *arguments, **options) -> AudioError:
    """Returns the error of a function, or of the iterator that it returns."""
    with pytest.raises(AudioError) as caught:
        list(read(*arguments, **options))
    return caught.value


def read_damaged(data: bytes) -> AudioError | None:
    """Reads a recording, which leads to audio or to the error that is returned."""
    try:
        assert np.isfinite(read_audio(data)).all()
    except AudioError as error:
        return error
    return None


def likeness(waveform: np.ndarray, original: np.ndarray) -> float:
    """Returns the correlation with the original (samples, 1), up to 3000 samples early or late."""
    inner = original[3000 : min(len(waveform), len(original)) - 3000, 0]
    start = int(np.correlate(waveform, inner, "valid").argmax())
    return float(np.corrcoef(waveform[start : start + len(inner)], inner)[0, 1])


@pytest.fixture
def store(tmp_path):
    """Writes bytes into a file; its name tells nothing."""

    def write(data: bytes, name: str = "recording"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.fixture
def foreign(tmp_path):
    """Makes a recording in a format that libsndfile does not know."""
    soundfile.write(tmp_path / "source.wav", SPEECH, 16000)

    def make(ending: str, *more: str):
        path = tmp_path / f"memo.{ending}"
        options = (*FOREIGN[ending], *more)
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(tmp_path / "source.wav")]
        subprocess.run([*command, *options, str(path)], check=True, stdin=subprocess.DEVNULL)
        return path

    return make


@pytest.mark.parametrize(("container", "coding", "lossless"), LIBSNDFILE)
def test_what_libsndfile_opens_is_decoded(store, container, coding, lossless):
    path = store(encoded(container, SPEECH, coding=coding))
    waveform = read_audio(path)
    streamed = np.concatenate(list(audio_blocks(path, block_s=0.7)))
    np.testing.assert_array_equal(streamed, waveform)
    if lossless:
        np.testing.assert_array_equal(waveform, SPEECH[:, 0].astype(np.float32))
    else:
        assert len(waveform) == pytest.approx(len(SPEECH), abs=1000)
        assert likeness(waveform, SPEECH) > 0.99
    assert duration_s(path) == pytest.approx(len(waveform) / 16000)


def test_telephone_speech_is_decoded_block_by_block(store):
    path = store(encoded("WAV", speech(2.0, 8000), 8000, coding="GSM610"))
    blocks = list(audio_blocks(path, block_s=0.5))
    assert [len(block) for block in blocks] == [8000] * 4
    assert likeness(np.concatenate(blocks), speech(2.0)) > 0.99


PCM16 = wav(SPEECH)
GSM = encoded("WAV", voice(2.56), coding="GSM610")
NO_LENGTH = {
    "ffmpeg": (wav_of_no_length(PCM16, 2**32 - 1, 2**32 - 1), PCM16),
    "sox": (wav_of_no_length(PCM16, 0x7FFFF024, 0x7FFFF000), PCM16),
    "sox-24-bit": (wav_of_no_length(wav(SPEECH, bits=24), 0x7FFFF022, 0x7FFFEFFE), PCM16),
    "never-closed": (wav_of_no_length(PCM16, 36, 0), PCM16),
    "riff-0": (wav_of_no_length(PCM16, 0, 10**6), PCM16),
    "gsm": (wav_of_no_length(GSM, 36, 0), GSM),
    "w64": (w64_of_no_length(encoded("W64", SPEECH)), PCM16),
    "flac": (flac_from_a_pipe(SPEECH), PCM16),
}


@pytest.mark.parametrize("name", NO_LENGTH)
def test_a_header_without_a_length_is_read_to_the_end(store, name):
    data, whole = NO_LENGTH[name]
    np.testing.assert_array_equal(read_audio(data), read_audio(whole))
    np.testing.assert_array_equal(
        np.concatenate(list(audio_blocks(store(data), block_s=0.7))), read_audio(whole)
    )
    expected = None if name == "flac" else len(read_audio(whole)) / 16000
    assert duration_s(store(data)) == expected


def test_rf64_caf_au_and_aiff_without_a_length_are_read_to_the_end():
    rf64 = encoded("RF64", SPEECH)
    at = rf64.index(b"ds64") + 8
    caf = encoded("CAF", SPEECH)
    size = caf.index(b"data") + 4
    au = encoded("AU", SPEECH)
    aiff = encoded("AIFF", SPEECH)
    ssnd = aiff.index(b"SSND") + 4
    for data in (
        rf64[:at] + bytes(24) + rf64[at + 24 :],
        caf[:size] + struct.pack(">q", -1) + caf[size + 8 :],
        au[:8] + b"\xff" * 4 + au[12:],
        aiff[:ssnd] + b"\xff" * 4 + aiff[ssnd + 4 :],
    ):
        np.testing.assert_array_equal(read_audio(data), SPEECH[:, 0].astype(np.float32))


def test_an_empty_recording_that_was_closed_stays_empty():
    empty = wav(voice(0)) + b"LIST" + struct.pack("<I", 4000) + b"INFO" + bytes(3996)
    closed = empty[:4] + struct.pack("<I", len(empty) - 8) + empty[8:]
    assert refusal(read_audio, closed).kind == "too_short"


@pytest.mark.parametrize("data", [wav_of_no_length(PCM16, 36, 0), flac_from_a_pipe(SPEECH)])
def test_the_limits_hold_without_a_length(store, data):
    limits = AudioLimits(max_duration_s=2.0)
    for read in (read_audio, audio_blocks):
        error = refusal(read, store(data), limits=limits)
        assert error.kind == "too_long"
        assert "s, expected at most 2 s. Cut the recording into utterances" in str(error)
    assert (
        refusal(read_audio, store(data), limits=AudioLimits(min_duration_s=3)).kind == "too_short"
    )


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "W64", "RF64", "FLAC", "MP3"])
def test_a_recording_that_is_cut_off_is_named(store, container):
    data = encoded(container, voice(30))
    path = store(data[: len(data) // 2])
    for read in (read_audio, audio_blocks):
        error = refusal(read, path)
        assert error.kind == "truncated"
        assert "The file is cut off" in str(error)


def test_nothing_is_decoded_that_is_not_in_the_file(store):
    tones = [0.4 * np.sin(2 * np.pi * f * np.arange(80000) / 16000) for f in range(200, 1000, 100)]
    data = encoded("MP3", np.concatenate(tones)[:, None])
    blocks = []
    with pytest.raises(AudioError, match="its header promises"):
        blocks.extend(audio_blocks(store(data[: len(data) // 2])))
    for number, block in enumerate(blocks):
        peaks = [int(np.abs(np.fft.rfft(half)).argmax() / 5 + 0.5) for half in np.split(block, 2)]
        assert peaks == pytest.approx([200 * number + 200, 200 * number + 300], abs=2)
    assert len(blocks) == 1


def test_an_mp3_may_be_a_little_shorter_than_it_says(store):
    data = encoded("MP3", voice(20))
    waveform = read_audio(data[: int(len(data) * 0.98)])
    assert 0.95 * 320000 < len(waveform) < 320000


def test_an_mp3_that_libsndfile_would_read_in_part_is_refused(store):
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (5 * 44100, 1))
    data = encoded("MP3", np.concatenate([voice(1, 44100) / 300, noise]), 44100)
    # The first frame holds the length, and the frames grow with the sound.
    headless = data[data.index(data[:2], 10) :]
    assert len(read_audio(data)) == 6 * 16000
    for read in (read_audio, audio_blocks):
        error = refusal(read, store(headless))
        assert error.kind == "unreadable"
        assert "found an MP3 of varying bit rate that states no length" in str(error)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("scale", "cure"),
    [
        (2**15, "These look like 16-bit values stored as floats: divide by 32768."),
        (2**23, "These look like 24-bit values stored as floats: divide by 8388608."),
        (1e20, "Export the recording again as 16-bit WAV."),
    ],
)
def test_floats_that_were_never_divided_are_refused(store, channels, scale, cure):
    path = store(wav(voice(channels=channels) * scale, bits=32, code=FLOAT))
    for read in (read_audio, audio_blocks):
        error = refusal(read, path)
        assert error.kind == "range"
        assert str(error).endswith(f"expected about -1 to 1. {cure}")


@pytest.mark.parametrize("scale", [1, 1 - 2**-8])
def test_channels_that_cancel_each_other_are_refused(store, scale):
    path = store(wav(np.hstack([voice(2), -scale * voice(2)])))
    for read in (read_audio, audio_blocks):
        error = refusal(read, path)
        assert (error.kind, "pan=mono|c0=c0" in str(error)) == ("opposed", True)


def test_channels_that_only_differ_are_averaged():
    left, right = voice(seed=1), voice(seed=2)
    for channels in ([left, 0 * left], [left, -0.9 * left], [left - right, right - left / 2]):
        np.testing.assert_allclose(
            read_audio(wav(np.hstack(channels), bits=32, code=FLOAT)),
            np.mean(channels, axis=0)[:, 0],
            atol=1e-6,
        )


def test_blocks_have_one_size_and_are_the_whole_recording(store):
    samples = voice(2.3, 44100, channels=2)
    path = store(wav(samples, rate=44100))
    blocks = list(audio_blocks(path, sample_rate_hz=8000, block_s=0.5))
    assert [len(block) for block in blocks] == [4000] * 4 + [2400]
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    whole = read_audio(path, sample_rate_hz=8000)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)
    mean = soundfile.read(path)[0].mean(axis=1)
    np.testing.assert_allclose(whole, soxr.resample(mean, 44100, 8000), atol=1e-5)


def test_long_recordings_take_no_memory(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC") as sound:
        for _ in range(20):
            sound.write(voice(60, 8000))
    assert refusal(audio_blocks, path).kind == "too_long"
    tracemalloc.start()
    try:
        num_samples = sum(len(block) for block in audio_blocks(path, limits=ENDLESS))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert num_samples == 1200 * 16000
    assert peak < 20_000_000


def test_silence_is_refused_before_a_short_recording_is_yielded(store):
    path = store(wav(voice(3) * 0))
    blocks = audio_blocks(path)
    with pytest.raises(AudioError) as caught:
        next(blocks)
    assert caught.value.kind == "silent"
    assert refusal(audio_blocks, store(b"")).kind == "empty"
    assert refusal(duration_s, path.with_name("none")).kind == "missing"


@needs_ffmpeg
@pytest.mark.parametrize("ending", FOREIGN)
def test_what_telephones_and_browsers_record_is_decoded(foreign, ending):
    path = foreign(ending)
    waveform = read_audio(path)
    assert likeness(waveform, SPEECH) > 0.99
    np.testing.assert_array_equal(read_audio(read_bytes(path)), waveform)
    np.testing.assert_allclose(
        np.concatenate(list(audio_blocks(path, block_s=0.7))), waveform, atol=1e-6
    )
    assert duration_s(path) is None


@needs_ffmpeg
def test_limits_and_damage_of_foreign_formats(foreign, monkeypatch):
    path = foreign("m4a", "-movflags", "+faststart")
    assert refusal(read_audio, path, limits=AudioLimits(max_duration_s=1)).kind == "too_long"
    assert refusal(read_audio, path, limits=AudioLimits(min_rate_hz=22050)).kind == "rate"
    data = path.read_bytes()
    assert refusal(read_audio, data[: len(data) // 2]).kind == "truncated"
    error = refusal(read_audio, b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom" + bytes(4000))
    assert error.kind == "unreadable"
    assert "found MP4 content (as of phones) that ffmpeg cannot decode" in str(error)
    for damaged in mutations(data, 8, seed=3):
        error = read_damaged(damaged)
        assert error is None or str(error).endswith(".")
    monkeypatch.setattr(ffmpeg, "_LONGEST_WAIT_S", 0.0)
    assert "no answer within 0 s" in str(refusal(read_audio, path))


@pytest.mark.parametrize(
    ("name", "data", "content", "command"),
    [
        (
            "memo.m4a",
            b"\0\0\0\x1cftypM4A " + bytes(400),
            "MP4 content (as of phones)",
            "ffmpeg -i memo.m4a memo.wav",
        ),
        (
            "in the browser.webm",
            b"\x1a\x45\xdf\xa3" + bytes(400),
            "Matroska or WebM content (as of browsers)",
            "ffmpeg -i 'in the browser.webm' 'in the browser.wav'",
        ),
        (
            "named.wav",
            b"#!AMR\n" + bytes(400),
            "AMR content (as of phones)",
            "ffmpeg -i named.wav named-converted.wav",
        ),
        ("a", b"\xff\xf1" + bytes(400), "AAC content", "ffmpeg -i a.aac a.wav"),
        (
            "b",
            b"\x30\x26\xb2\x75" + bytes(400),
            "Windows Media content",
            "ffmpeg -i b.wma b.wav",
        ),
    ],
)
def test_without_ffmpeg_the_command_is_named(store, monkeypatch, name, data, content, command):
    monkeypatch.setenv("PATH", "/nowhere")
    path = store(data, name)
    for read in (read_audio, audio_blocks, duration_s):
        error = refusal(read, path)
        assert error.kind == "not_audio"
        assert str(error) == (
            f"{path}: found {content}, expected WAV, FLAC, Ogg or MP3, or ffmpeg on the path for "
            f"this format. Install ffmpeg, or convert it: {command}."
        )


@pytest.mark.parametrize(
    ("container", "coding"), [item[:2] for item in LIBSNDFILE if item[0] != "FLAC"]
)
def test_garbage_of_every_container_leads_to_audio_or_to_an_audio_error(container, coding):
    for damaged in mutations(encoded(container, voice(0.1), coding=coding), 60, seed=2):
        error = read_damaged(damaged)
        assert error is None or str(error).startswith("audio bytes: ")


def test_flac_that_promises_less_than_it_holds_is_read_as_far(store):
    path = store(flac_that_promises(4000))
    assert len(read_audio(path)) == 4000
    assert duration_s(path) == 0.25
