"""Speech is found where there is some, and nothing else is taken for it."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.audio import SAMPLE_RATE_HZ, read_audio
from ser_keras.errors import AudioError, NoSpeechError
from ser_keras.features.speech import PIECE_S, check_speech, holds_speech, read_speech

TIME = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ


def tone(frequency):
    return 0.3 * np.sin(2 * np.pi * frequency * TIME)


def noise(deviation=0.1):
    return deviation * np.random.default_rng(0).normal(size=len(TIME))


def voice(f0=120.0, seconds=2.0):
    """Syllables of a voice whose pitch falls by half an octave."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    cycles = np.cumsum(f0 * 2 ** (-0.5 * time / seconds)) / SAMPLE_RATE_HZ
    source = sum(np.sin(2 * np.pi * k * cycles) / k for k in range(1, 12))
    return 0.1 * source * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * time))


NOTHING = {
    "silence": np.zeros(32000),
    "no sample": np.zeros(0),
    "one sample": np.ones(1),
    "a frame": np.ones(640),
    "last bits": np.round(noise(0.6)) / 32768,
    "white noise": noise(),
    "brown noise": np.cumsum(noise()) * 1e-2,
    "a low tone": tone(120),
    "a high tone": tone(3000),
    "a tone in noise": tone(300) + noise(0.05),
    "beeps": tone(800) * (TIME * 4 % 1 < 0.5),
    "hum": sum(tone(50 * k) / k for k in range(1, 8)),
    "a click": np.where(np.arange(len(TIME)) == 9000, 0.9, 0.0) + noise(1e-4),
    "a constant": np.full(32000, 0.2),
}


@pytest.mark.parametrize("name", NOTHING)
def test_there_is_no_speech_in(name):
    assert not holds_speech(NOTHING[name].astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(
    f0=st.floats(80, 350),
    level=st.sampled_from([1e-4, 1.0, 8.0]),
    noise_share=st.sampled_from([0.0, 0.1, 0.3]),
    sign=st.sampled_from([-1, 1]),
)
def test_a_voice_is_speech_at_any_level(f0, level, noise_share, sign):
    waveform = voice(f0)
    waveform = waveform + noise(noise_share * waveform.std())
    assert holds_speech((sign * level * waveform).astype(np.float32))


def test_one_word_in_a_long_silence_is_enough():
    waveform = np.zeros(round(3.5 * PIECE_S * SAMPLE_RATE_HZ), np.float32)
    waveform[-24000:] = voice(seconds=1.5)
    assert holds_speech(waveform)


def test_the_refusal_says_how_much_was_listened_to():
    check_speech(voice(), "a.wav")
    sentence = r"a\.wav: no speech found in 2\.00 s, expected a voice\. See whether the microphone"
    with pytest.raises(NoSpeechError, match=sentence) as caught:
        check_speech(NOTHING["silence"], "a.wav")
    assert (caught.value.kind, caught.value.exit_code) == ("no_speech", 11)


@pytest.mark.parametrize("samples", [np.zeros(16000), np.full(1, 0.5)], ids=["zeros", "click"])
def test_a_file_of_silence_and_one_of_a_click_hold_no_speech(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE_HZ)
    with pytest.raises(NoSpeechError, match=rf"a\.wav: no speech found: {len(samples)} sample"):
        read_speech(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"")
    with pytest.raises(AudioError, match="empty file") as caught:
        read_speech(tmp_path / "b.wav")
    assert not isinstance(caught.value, NoSpeechError)


@pytest.mark.realdata
def test_every_real_recording_holds_speech(real_data):
    paths = [
        path
        for corpus in ("emodb", "emodb-2s", "ravdess", "nemo")
        for path in sorted((real_data / corpus).rglob("*"))[::25]
        if path.suffix in (".wav", ".flac")
    ]
    assert len(paths) > 100
    assert [path for path in paths if not holds_speech(read_audio(path))] == []
