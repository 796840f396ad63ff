"""Pitch against known tones and other trackers, and the twin on awkward utterances.

That every value equals the oracle is tested with the other specs.
"""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.audio import read_audio
from ser_keras.features.extract import extract
from ser_keras.features.frontend import FrontEnd
from ser_keras.features.kinds.prosody import PROSODY_NAMES
from ser_keras.features.specs import get_spec
from tests.reference import prosody as reference

SPEC = get_spec("mel64-prosody")
NAMES = SPEC.value_names()
RATE = SPEC.sample_rate_hz
# Of float32 at a loudness of 500.
TOLERANCE = 2e-4


def column(features, name):
    return features[:, NAMES.index(name)]


def harmonics(f0_hz, samples=8000, count=12):
    """Returns a voice: harmonics that fall by 6 dB per octave, below half the sample rate."""
    time_s = np.arange(samples) / RATE
    numbers = [number for number in range(1, count + 1) if number * f0_hz < RATE / 2]
    voice = sum(np.sin(2 * math.pi * n * f0_hz * time_s + n) / n for n in numbers)
    return (0.3 * voice).astype(np.float32)


def pulses(f0_hz, samples=8000):
    """Returns pulses without what lies above 4 kHz, each followed by a short resonance."""
    time_s = np.arange(samples) / RATE
    numbers = range(1, int(4000 / f0_hz) + 1)
    train = sum(np.cos(2 * math.pi * number * f0_hz * time_s) for number in numbers)
    decay = np.exp(-np.arange(80) / 15) * np.cos(2 * math.pi * 700 * np.arange(80) / RATE)
    waveform = np.convolve(train, decay)[:samples]
    return (0.5 * waveform / np.abs(waveform).max()).astype(np.float32)


def noise(samples, level=0.1, seed=0):
    return (level * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def clicks():
    """Returns silence with two clicks: few frames are voiced or none."""
    waveform = np.zeros(6000, np.float32)
    waveform[[2000, 4001]] = 1.0
    return waveform


CASES = {
    "one frame": harmonics(200)[:640],
    "shorter than a frame": harmonics(200)[:300],
    "one sample": np.array([0.5], np.float32),
    "silence": np.zeros(5000, np.float32),
    "all unvoiced": noise(8000),
    "all voiced": harmonics(173.3),
    "voice in silence": np.pad(harmonics(120, 5000), 4000),
    "voice in noise": np.pad(harmonics(240, 5000), 4000) + noise(13000, 0.02),
    "offset": harmonics(150) + np.float32(0.5),
    "only an offset": np.full(4000, 0.25, np.float32),
    "clipped": np.clip(5 * harmonics(110), -1, 1),
    "a pulse every 32 samples": (np.arange(8000) % 32 == 0).astype(np.float32),
    "two voices": np.concatenate([harmonics(100), np.zeros(4000, np.float32), harmonics(300)]),
    "clicks": clicks(),
    "very quiet": 1e-7 * harmonics(150),
}


# Above 460 Hz, where few voices are, a period that lies half way
# between two samples can lose to twice the period: the peak is looked for among whole samples.
HIGHEST_HZ = 450.0


@given(f0_hz=st.floats(70.0, HIGHEST_HZ), wave=st.sampled_from([harmonics, pulses]))
def test_the_pitch_of_known_voices(f0_hz, wave):
    features = extract(SPEC, wave(f0_hz))
    assert column(features, "voiced").mean() == 1.0
    measured_hz = 2 ** column(features, "log2 F0")
    assert np.median(measured_hz) == pytest.approx(f0_hz, rel=0.02)
    # 40 ms hold less than three periods of 70 Hz.
    np.testing.assert_allclose(measured_hz, f0_hz, rtol=0.02 if f0_hz > 75 else 0.03)


@given(f0_hz=st.floats(100.0, HIGHEST_HZ))
def test_the_parabola_finds_the_pitch_between_two_samples(f0_hz):
    features = extract(SPEC, harmonics(f0_hz))
    np.testing.assert_allclose(2 ** column(features, "log2 F0"), f0_hz, rtol=0.005)


def test_a_glide_is_followed_through_a_gap():
    samples = 16000
    f0_hz = np.geomspace(110, 330, samples)
    phase = 2 * math.pi * np.cumsum(f0_hz) / RATE
    wave = (0.3 * sum(np.sin(n * phase) / n for n in range(1, 10))).astype(np.float32)
    wave[6000:9000] = noise(3000, 0.05)
    features = extract(SPEC, wave)
    middles = np.arange(len(features)) * SPEC.hop_samples + 320
    expected = np.log2(f0_hz[middles])
    voiced = column(features, "voiced") > 0
    assert not voiced[(middles > 6400) & (middles < 8600)].any()
    # A straight line in log2 F0 is what the glide is.
    np.testing.assert_allclose(column(features, "log2 F0"), expected, atol=0.05)
    slope = np.log2(3) * SPEC.hop_samples / samples
    assert column(features, "delta F0")[1:].mean() == pytest.approx(10 * slope, rel=0.05)


def test_noise_and_silence_are_not_voiced():
    for waveform in (noise(16000), np.zeros(4000, np.float32)):
        features = extract(SPEC, waveform)
        assert column(features, "voiced").mean() < 0.03
    np.testing.assert_array_equal(column(features, "log2 F0"), np.float32(7.3))
    np.testing.assert_allclose(column(features, "harmonics-to-noise ratio"), -29.996, atol=0.01)


def test_a_rumble_below_all_voices_is_not_voiced():
    time_s = np.arange(16000) / RATE
    features = extract(SPEC, (0.5 * np.sin(2 * math.pi * 12 * time_s)).astype(np.float32))
    assert not column(features, "voiced").any()


def test_quiet_frames_are_not_voiced():
    waveform = np.concatenate([harmonics(140), 0.05 * harmonics(140)])
    assert column(extract(SPEC, waveform), "voiced")[52:].all()
    narrower = get_spec("mel64-prosody", voicing_range_db=20)
    voiced = column(extract(narrower, waveform), "voiced")
    assert voiced[:46].all()
    assert not voiced[50:].any()


def test_the_peak_is_scaled_to_1_unless_the_level_is_to_stay():
    waveform = 0.1 * harmonics(150) + noise(8000, 0.001)
    np.testing.assert_allclose(extract(SPEC, waveform), extract(SPEC, 4 * waveform), atol=1e-4)
    unscaled = get_spec("mel64-prosody", normalize_peak=False)
    quiet, loud = extract(unscaled, waveform), extract(unscaled, 4 * waveform)
    rise = column(loud, "log energy") - column(quiet, "log energy")
    np.testing.assert_allclose(rise, 2 * math.log10(4), atol=1e-3)
    assert (column(loud, "loudness") > column(quiet, "loudness")).all()


def test_an_offset_does_not_change_the_pitch():
    plain, moved = (extract(SPEC, CASES[name]) for name in ("all voiced", "offset"))
    assert column(moved, "voiced").all()
    np.testing.assert_allclose(2 ** column(moved, "log2 F0"), 150, rtol=0.005)
    assert column(plain, "voiced").all()


def test_levels_mean_what_they_are_called():
    low = extract(SPEC, harmonics(150, count=3))
    high = extract(SPEC, np.diff(noise(8001)))
    assert (column(low, "low - high") > 5).all()
    assert (column(high, "low - high") < -1).all()
    assert column(low, "centroid").max() < 15 < 35 < column(high, "centroid").min()
    assert column(low, "slope").max() < 0 < column(high, "slope").min()
    onset = extract(SPEC, np.concatenate([noise(4000, 1e-4), noise(4000, 0.3)]))
    assert 20 <= column(onset, "flux").argmax() <= 25
    assert column(onset, "flux")[0] == 0.0


def test_values_are_named_in_the_order_of_the_columns():
    assert (*(f"mel {n}" for n in range(64)), *PROSODY_NAMES) == NAMES
    assert len(NAMES) == SPEC.dim == SPEC.num_mels + 11
    assert get_spec("logmel23").value_names()[-1] == "value 22"


@pytest.mark.parametrize("name", CASES)
def test_awkward_utterances_equal_the_oracle_and_are_finite(name):
    features = extract(SPEC, CASES[name])
    assert np.isfinite(features).all()
    assert len(features) == SPEC.num_frames(len(CASES[name]))
    expected = reference.prosody(SPEC, CASES[name])
    np.testing.assert_allclose(features, expected, rtol=0, atol=TOLERANCE)


def in_one_batch(spec, waveforms):
    """Returns the features of each from the graph; behind each end stands what must not matter."""
    most = max(map(len, waveforms)) + 7000
    rows = [np.pad(w, (0, most - len(w)), constant_values=0.9) for w in waveforms]
    rows = [
        row + np.where(np.arange(most) < len(w), 0, harmonics(90, most))
        for row, w in zip(rows, waveforms, strict=True)
    ]
    lengths = np.array([len(waveform) for waveform in waveforms], np.int32)
    outputs = FrontEnd(spec)(np.stack(rows).astype(np.float32), lengths)
    features, mask = map(keras.ops.convert_to_numpy, outputs)
    return [row[real] for row, real in zip(features, mask, strict=True)]


@pytest.mark.parametrize("options", [{}, {"trim_db": 35}, {"normalize_peak": False}])
def test_the_twin_equals_the_job_on_awkward_utterances_in_one_batch(options):
    spec = get_spec("mel64-prosody", **options)
    for name, rows in zip(CASES, in_one_batch(spec, list(CASES.values())), strict=True):
        expected = extract(spec, CASES[name])
        assert rows.shape == expected.shape, name
        np.testing.assert_allclose(rows, expected, rtol=0, atol=TOLERANCE, err_msg=name)


def some_files(root, corpus, count):
    files = sorted(path for path in (root / corpus).rglob("*") if path.suffix in (".wav", ".flac"))
    return files[:: len(files) // count]


@pytest.mark.realdata
@pytest.mark.parametrize("corpus", ["ravdess", "emodb", "emodb-2s", "nemo"])
def test_the_twin_equals_the_job_on_real_speech(corpus, real_data):
    spec = get_spec("mel64-prosody", trim_db=35)
    waveforms = [read_audio(path) for path in some_files(real_data, corpus, 40)]
    frames = differing = 0
    for start in range(0, len(waveforms), 8):
        group = waveforms[start : start + 8]
        for waveform, rows in zip(group, in_one_batch(spec, group), strict=True):
            expected = extract(spec, waveform)
            differing += (np.abs(rows - expected).max(axis=1) > TOLERANCE).sum()
            frames += len(expected)
    assert differing == 0, f"{corpus}: {differing} of {frames} frames differ"


def agreement(tracks):
    """Returns (correlation of log F0, voicing error, share off by over 20 %, median in cents)."""
    ours, voiced, theirs, also = (np.concatenate(parts) for parts in zip(*tracks, strict=True))
    both = voiced & also
    distance = np.abs(ours - theirs)[both]
    return (
        float(np.corrcoef(ours[both], theirs[both])[0, 1]),
        float((voiced != also).mean()),
        float((distance > math.log2(1.2)).mean()),
        float(1200 * np.median(distance)),
    )


def check_agreement(name, tracks, least_correlation, most_voicing_error, most_gross):
    correlation, voicing_error, gross, cents = agreement(tracks)
    # pytest -rP shows it.
    print(  # noqa: T201
        f"{name}: correlation of log F0 {correlation:.3f} (at least {least_correlation}), voicing "
        f"error {voicing_error:.3f} (at most {most_voicing_error}), off by more than 20 % "
        f"{gross:.3f} (at most {most_gross}), median {cents:.0f} cents (at most 25)"
    )
    assert correlation >= least_correlation
    assert voicing_error <= most_voicing_error
    assert gross <= most_gross
    assert cents <= 25


def side_by_side(features, log2_f0, voiced, shift):
    """Returns the tracks of frames with the same middle: theirs at `t` is ours at `t + shift`."""
    ours = column(features, "log2 F0"), column(features, "voiced") > 0
    count = min(len(ours[0]) - max(shift, 0), len(log2_f0) - max(-shift, 0))
    mine, other = slice(max(shift, 0), None), slice(max(-shift, 0), None)
    return (*(x[mine][:count] for x in ours), log2_f0[other][:count], voiced[other][:count])


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["ravdess", "emodb"])
def test_the_pitch_agrees_with_pyin_on_real_speech(corpus, real_data):
    import librosa

    tracks = []
    for path in some_files(real_data, corpus, 12):
        waveform = read_audio(path)
        f0_hz, voiced, _ = librosa.pyin(
            waveform,
            fmin=SPEC.f0_min_hz,
            fmax=SPEC.f0_max_hz,
            sr=RATE,
            frame_length=1024,
            hop_length=SPEC.hop_samples,
            center=False,
        )
        log2_f0 = np.log2(np.where(voiced, f0_hz, 1.0))
        # The middle of 1024 samples is 192 samples, about a hop, behind that of 640.
        tracks.append(side_by_side(extract(SPEC, waveform), log2_f0, voiced, 1))
    check_agreement(f"{corpus}, pYIN", tracks, 0.85, 0.22, 0.05)


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["ravdess", "emodb"])
def test_the_pitch_agrees_with_opensmile_on_real_speech(corpus, real_data):
    opensmile = pytest.importorskip("opensmile", reason="the extra opensmile is not installed")
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
    )
    tracks = []
    for path in some_files(real_data, corpus, 12):
        waveform = read_audio(path)
        semitones = smile.process_signal(waveform, RATE)["F0semitoneFrom27.5Hz_sma3nz"].to_numpy()
        log2_f0 = semitones / 12 + math.log2(27.5)
        # The middle of openSMILE's 60 ms is a hop behind that of 40 ms.
        tracks.append(side_by_side(extract(SPEC, waveform), log2_f0, semitones > 0, 1))
    check_agreement(f"{corpus}, openSMILE", tracks, 0.95, 0.2, 0.03)
