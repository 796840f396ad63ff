"""Recordings that sound the same from beginning to end are no copies of each other."""

import numpy as np
import pytest

from ser_keras import audit
from ser_keras.audio import content_hash
from ser_keras.audit import AudioRow
from ser_keras.audit.duplicates import has_shape, values_of
from tests.audit.test_audit import protocol, voice

RATE = 16000


def coloured(rng, samples, exponent):
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20)
    return np.fft.irfft(spectrum / hertz**exponent, samples)


def hum(rng, samples):
    time = np.arange(samples) / RATE
    tones = (np.sin(2 * np.pi * 50 * k * time + rng.uniform(0, 6)) / k for k in range(1, 12))
    return sum(tones) + 0.01 * rng.normal(size=samples)


def room(rng, samples):
    """Noise whose level drifts by a few dB, quantised to one step of 16 bits."""
    level_db = np.interp(np.arange(samples), np.linspace(0, samples, 5), rng.normal(0, 1, 5))
    return np.round(2 * coloured(rng, samples, 0.5) * 10 ** (level_db / 20) * 100) / 32768


SOUNDS = {
    "white": lambda rng, samples: rng.normal(size=samples),
    "pink": lambda rng, samples: coloured(rng, samples, 0.5),
    "brown": lambda rng, samples: coloured(rng, samples, 1.0),
    "hum": hum,
    "room": room,
    "tone": lambda rng, samples: np.sin(np.arange(samples) / 10 + rng.uniform(0, 6)),
}


def row(key, waveform):
    waveform = np.asarray(waveform, np.float32)
    prints = content_hash(waveform), audit.fingerprint(waveform)
    return AudioRow(key, "noise", key, "", *prints)


@pytest.mark.parametrize("sound", SOUNDS)
def test_noise_of_any_colour_and_length_is_at_most_mentioned(sound):
    rng = np.random.default_rng(0)
    seconds = (0.3, 0.5, 1.0, 1.0, 1.05, 1.7, 3.0)
    rows = [
        row(chr(97 + i), rng.uniform(0.01, 0.1) * SOUNDS[sound](rng, int(s * RATE)))
        for i, s in enumerate(seconds)
    ]
    assert audit.duplicate_groups(rows) == []
    (finding,) = audit.audit_audio(rows)
    assert (finding.check, finding.severity) == ("duplicates", "info")
    assert finding.keys == tuple("abcdefg")
    across = audit.audit_protocol(protocol(["abc", "de", "fg"]), rows)
    assert [f for f in across if f.check == "duplicates"] == []


def test_silence_with_a_few_steps_of_noise_is_no_copy():
    rng = np.random.default_rng(1)
    rows = [row(str(i), (rng.random(RATE) < 0.3) / 32768) for i in range(4)]
    assert audit.duplicate_groups(rows) == []


def test_the_same_file_of_noise_still_fails():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.1, RATE)
    rows = [row("a", noise), row("b", rng.normal(0, 0.1, RATE)), row("c", noise)]
    assert audit.duplicate_groups(rows) == [("a", "c")]
    findings = audit.audit_protocol(protocol("abc"), rows)
    assert ("duplicates", "fail") in {(f.check, f.severity) for f in findings}


def test_copies_of_speech_are_found_among_noise():
    rng = np.random.default_rng(3)
    noise = [row(f"n{i}", rng.normal(0, 0.1, RATE)) for i in range(3)]
    rows = [*noise, row("v1", voice(0)), row("v2", 0.5 * voice(0)), row("v3", voice(1))]
    assert audit.duplicate_groups([rows[i] for i in (3, 0, 4, 1, 5, 2)]) == [("v1", "v2")]


def test_noise_that_comes_and_goes_has_a_shape():
    rng = np.random.default_rng(4)
    bursts = rng.normal(0, 0.1, RATE) * np.repeat(rng.random(20) < 0.5, RATE // 20)
    assert has_shape(values_of([audit.fingerprint(bursts.astype(np.float32))])).tolist() == [True]


@pytest.mark.realdata
@pytest.mark.parametrize("corpus", ["ravdess", "emodb", "emodb-2s", "nemo"])
def test_speech_has_a_shape(real_data, corpus):
    from ser_keras.audio import read_audio
    from ser_keras.corpora.base import audio_files

    files = audio_files(real_data / corpus)[::5]
    prints = [audit.fingerprint(read_audio(path)) for path in files]
    assert has_shape(values_of(prints)).all()
