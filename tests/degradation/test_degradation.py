"""Each degradation does what its name says, to the length and within the range of a recording."""

import numpy as np
import pytest

from ser_keras.degradation import DEGRADATIONS, degrade
from ser_keras.degradation.surroundings import SIGNAL_TO_NOISE_DB, noise, room
from ser_keras.errors import ConfigError

RATE = 16000


def speech(seed=0, seconds=1.0):
    """Returns a voice-like sound: harmonics of 150 Hz up to 7.5 kHz, louder and softer."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    harmonics = sum(
        np.sin(2 * np.pi * 150 * n * time_s + rng.uniform(0, 6)) / n for n in range(1, 51)
    )
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * time_s)
    return 0.2 * envelope * harmonics / np.abs(harmonics).max()


def power(waveform, low_hz, high_hz):
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    frequency = np.fft.rfftfreq(len(waveform), 1 / RATE)
    return spectrum[(frequency >= low_hz) & (frequency < high_hz)].sum()


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("seconds", [0.05, 1.0, 2.3])
def test_length_and_range_stay_and_a_seed_repeats(name, seconds):
    waveform = speech(seconds=seconds)
    before = waveform.copy()
    degraded = [degrade(name, waveform, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert degraded[0].shape == waveform.shape
    assert degraded[0].dtype == np.float32
    assert np.isfinite(degraded[0]).all()
    assert np.abs(degraded[0]).max() <= 1.0
    np.testing.assert_array_equal(degraded[0], degraded[1])
    assert not np.array_equal(degraded[0], degraded[2])
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_silence_stays_finite(name):
    assert np.isfinite(degrade(name, np.zeros(4000), np.random.default_rng(0))).all()


def test_a_telephone_has_no_lows_and_no_highs():
    waveform = speech()
    for seed in range(5):
        call = degrade("telephone", waveform, np.random.default_rng(seed))
        voice = power(call, 300, 3400)
        assert power(call, 0, 200) < 0.02 * voice
        assert power(call, 4500, 8000) < 0.02 * voice


def test_noise_has_a_ratio_within_its_range():
    waveform = speech()
    ratios = []
    for seed in range(20):
        behind = noise(waveform, np.random.default_rng(seed)) - waveform
        ratios.append(10 * np.log10(np.mean(waveform**2) / np.mean(behind**2)))
    low, high = SIGNAL_TO_NOISE_DB
    assert low - 1e-6 <= min(ratios) < low + 6
    assert high - 6 < max(ratios) <= high + 1e-6


def test_a_room_answers_a_click_after_the_click_alone():
    click = np.zeros(RATE)
    click[4000] = 1.0
    echo = room(click, np.random.default_rng(0))
    assert np.abs(echo[:4000]).max() < 1e-9
    first, last = np.mean(echo[4040:5640] ** 2), np.mean(echo[9000:10600] ** 2)
    assert first > 10 * last > 0


def test_a_codec_keeps_the_sound():
    waveform = speech()
    for seed in range(6):
        decoded = degrade("codec", waveform, np.random.default_rng(seed))
        assert np.corrcoef(decoded, waveform)[0, 1] > 0.9


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'telephone'"):
        degrade("telefone", speech(), np.random.default_rng(0))
