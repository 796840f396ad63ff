import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.audio import read_audio
from ser_keras.errors import ConfigError
from ser_keras.features import frames
from ser_keras.features.extract import extract
from ser_keras.features.frames import FrameSpec
from ser_keras.features.kinds import logmel, prosody
from ser_keras.features.mel import delta_kernel, mel_matrix
from ser_keras.features.specs import SPECS, get_spec
from tests.reference import features as reference

TOLERANCE = 1e-4
# Those of openSMILE have tests of their own.
FRAME_SPECS = [name for name, values in SPECS.items() if values["kind"] != "opensmile"]

VARIANTS = {
    **{name: get_spec(name) for name in FRAME_SPECS},
    "logmel40-trimmed": get_spec("logmel40", trim_db=35, num_deltas=1),
    "logmel40-htk": get_spec("logmel40", mel_scale="htk", fmin_hz=20.0, fmax_hz=7600.0),
    "logmel40-512": get_spec("logmel40", fft_points=512, window="hamming"),
    "mfcc40-trimmed": get_spec("mfcc40", trim_db=35, num_deltas=2),
    "mfcc13-odd": get_spec("mfcc40", num_mfcc=13, fft_points=1155, frame_length_s=0.05),
    "mfcc40-22050": get_spec("mfcc40", sample_rate_hz=22050, fft_points=2048),
    "mfcc40-windows-trimmed": get_spec(
        "mfcc40-windows-short", trim_db=35, num_deltas=1, statistics="mean_std"
    ),
    "mel64-prosody-trimmed": get_spec("mel64-prosody", trim_db=35, normalize_peak=False),
    "mel40-prosody-22050": get_spec(
        "mel64-prosody",
        sample_rate_hz=22050,
        fft_points=1024,
        num_mels=40,
        pitch_frame_s=0.03,
        f0_min_hz=70.0,
        octave_cost=0.01,
        low_bands=10,
    ),
    "spectrogram200-magnitude": get_spec("spectrogram200", scale="magnitude"),
}


def speech_like(num_samples: int, seed: int = 0) -> np.ndarray:
    """Harmonics of a gliding voice between digital silence, with noise at -60 dB."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(num_samples) / 16000
    phase = 2 * math.pi * np.cumsum(120 + 40 * np.sin(3 * time_s)) / 16000
    voice = sum(np.sin(k * phase) / k for k in range(1, 30))
    envelope = np.clip(np.sin(2 * math.pi * time_s / max(time_s[-1:].sum(), 1e-3)), 0, None)
    wave = 0.2 * envelope * voice + 1e-3 * rng.normal(size=num_samples)
    wave[: num_samples // 8] = 0.0
    return wave.astype(np.float32)


@pytest.mark.parametrize("name", VARIANTS)
def test_features_equal_librosa(name):
    waveform = speech_like(24000)
    features = extract(VARIANTS[name], waveform)
    expected = reference.features(VARIANTS[name], waveform)
    assert features.dtype == np.float32
    assert features.shape == expected.shape
    np.testing.assert_allclose(features, expected, rtol=0, atol=TOLERANCE)


@given(
    tones=st.lists(st.tuples(st.floats(30, 7900), st.floats(0.01, 1)), min_size=1, max_size=5),
    noise_db=st.floats(-130, -30),
    seed=st.integers(0, 999),
)
def test_log_mel_equals_librosa_next_to_loud_tones(tones, noise_db, seed):
    time_s = np.arange(4000) / 16000
    wave = sum(gain * np.sin(2 * math.pi * hz * time_s) for hz, gain in tones)
    wave += 10 ** (noise_db / 20) * np.random.default_rng(seed).normal(size=len(time_s))
    waveform = (wave / max(1.0, np.abs(wave).max())).astype(np.float32)
    expected = reference.features(get_spec("logmel40"), waveform)
    np.testing.assert_allclose(
        extract(get_spec("logmel40"), waveform), expected, rtol=0, atol=TOLERANCE
    )


def test_float32_alone_would_not_equal_librosa(monkeypatch):
    monkeypatch.setattr(logmel, "_SINGLE_DOWN_TO_HZ", 0.0)
    tone = np.sin(2 * math.pi * 100 * np.arange(16000) / 16000)
    waveform = (tone + 1e-5 * np.random.default_rng(0).normal(size=16000)).astype(np.float32)
    spec = get_spec("logmel40")
    expected = reference.features(spec, waveform)
    assert np.abs(extract(spec, waveform) - expected).max() > TOLERANCE


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_features_equal_librosa_on_real_speech(name, real_data):
    files = [
        *sorted((real_data / "ravdess").rglob("*.flac"))[::97],
        *sorted((real_data / "emodb" / "wav").glob("*.wav"))[::31],
        *sorted((real_data / "emodb-2s" / "wav").glob("*.flac"))[::67],
    ]
    assert len(files) > 20
    for path in files:
        waveform = read_audio(path)
        expected = reference.features(VARIANTS[name], waveform)
        np.testing.assert_allclose(
            extract(VARIANTS[name], waveform), expected, rtol=0, atol=TOLERANCE, err_msg=str(path)
        )


def edge_lengths(spec: FrameSpec) -> list[int]:
    size, hop = spec.vector_samples, spec.vector_hop_samples
    hops = 3 if spec.kind == "mfcc_windows" else 64
    return [0, 1, size - 1, size, size + hop - 1, size + hop, size + hops * hop]


@pytest.mark.parametrize("name", VARIANTS)
def test_awkward_lengths_give_the_promised_frames_and_librosas_values(name):
    spec = dataclasses.replace(VARIANTS[name], trim_db=None)
    speech = speech_like(12 * 16000)[70000:]
    for num_samples in edge_lengths(spec):
        waveform = speech[:num_samples]
        assert len(waveform) == num_samples
        result = extract(spec, waveform)
        assert result.shape == (spec.num_frames(num_samples), spec.dim)
        np.testing.assert_allclose(
            result, reference.features(spec, waveform), rtol=0, atol=TOLERANCE
        )


@given(name=st.sampled_from(FRAME_SPECS), num_samples=st.integers(0, 20000))
def test_num_frames_is_the_number_of_rows(name, num_samples):
    spec = get_spec(name)
    rows = extract(spec, np.ones(num_samples, np.float32))
    assert rows.shape == (spec.num_frames(num_samples), spec.dim)


@pytest.mark.parametrize("trim_db", [None, 35.0])
def test_silence_gives_the_floor_exactly(trim_db):
    zeros = np.zeros(8000, np.float32)

    def values(name):
        return (
            extract(get_spec(name), zeros)
            if trim_db is None
            else extract(get_spec(name, trim_db=trim_db), zeros)
        )

    floor = np.log(np.float32(1e-6))
    np.testing.assert_array_equal(values("logmel40"), np.full((48, 40), floor))
    deltas = values("logmel40-deltas")
    np.testing.assert_array_equal(deltas[:, :40], np.full((48, 40), floor))
    np.testing.assert_allclose(deltas[:, 40:], 0.0, atol=1e-6)
    np.testing.assert_array_equal(values("spectrogram200"), np.full((47, 200), -100.0))
    np.testing.assert_array_equal(values("spectrogram400"), np.zeros((47, 400)))
    mfcc = values("mfcc40")
    np.testing.assert_allclose(mfcc[:, 0], -100.0 * math.sqrt(128), rtol=1e-7)
    np.testing.assert_allclose(mfcc[:, 1:], 0.0, atol=1e-4)


@pytest.mark.parametrize("name", ["logmel23", "logmel40", "spectrogram200", "spectrogram400"])
def test_whole_signal_equals_frame_by_frame(name):
    spec = get_spec(name)
    waveform = speech_like(16000)
    whole = extract(spec, waveform)
    for index, row in enumerate(whole):
        start = index * spec.hop_samples
        single = extract(spec, waveform[start : start + spec.frame_samples])
        np.testing.assert_allclose(single[0], row, rtol=1e-6, atol=1e-6)


def test_blocks_do_not_show(monkeypatch):
    waveform = speech_like(40000)
    whole = {name: extract(spec, waveform) for name, spec in VARIANTS.items()}
    monkeypatch.setattr(frames, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(frames, "_BLOCK_FRAMES", 7)
    monkeypatch.setattr(prosody, "_BLOCK_FRAMES", 7)
    for name, spec in VARIANTS.items():
        np.testing.assert_allclose(extract(spec, waveform), whole[name], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in FRAME_SPECS if "windows" in name])
def test_a_window_knows_nothing_of_the_others(name):
    spec = get_spec(name)
    waveform = speech_like(5 * spec.sample_rate_hz)
    whole = extract(spec, waveform)
    assert len(whole) > 2
    for index, row in enumerate(whole):
        start = index * spec.window_hop_samples
        alone = extract(spec, waveform[start : start + spec.window_samples])
        np.testing.assert_array_equal(alone, row[None])


def test_the_vector_of_a_window_is_made_of_its_mfcc():
    waveform = speech_like(32000)
    frames = extract(get_spec("mfcc40"), waveform)
    assert len(frames) == 97
    one_after_the_other = extract(get_spec("mfcc40-windows-frames"), waveform)
    np.testing.assert_array_equal(one_after_the_other, frames.reshape(1, -1))
    expected = np.concatenate([frames.mean(axis=0), frames.std(axis=0)])[None]
    both = extract(get_spec("mfcc40-windows-std"), waveform)
    np.testing.assert_allclose(both, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(extract(get_spec("mfcc40-windows"), waveform), both[:, :40])


def test_silence_around_a_short_utterance_fills_its_window():
    waveform = speech_like(9000)
    padded = np.pad(waveform, (0, 32000 - 9000))
    for name in ("mfcc40-windows", "mfcc40-windows-std", "mfcc40-windows-frames"):
        spec = get_spec(name)
        np.testing.assert_array_equal(extract(spec, waveform), extract(spec, padded))


def test_trim_drops_the_quiet_ends_and_keeps_the_pause():
    rng = np.random.default_rng(0)
    loud = rng.normal(0, 0.1, 4000)
    quiet = rng.normal(0, 0.1 * 10 ** (-50 / 20), 8000)
    waveform = np.concatenate([quiet, loud, quiet, loud, quiet]).astype(np.float32)
    rows = extract(get_spec("logmel40", trim_db=35), waveform)
    spec = get_spec("logmel40")
    first = -(-(8000 - 400) // 160)
    last = (24000 - 1) // 160
    assert abs(len(rows) - (last - first + 1)) <= 2
    everything = extract(spec, waveform)
    offset = next(i for i in range(len(everything)) if np.allclose(everything[i], rows[0]))
    np.testing.assert_allclose(rows, everything[offset : offset + len(rows)], rtol=1e-6)


def test_trim_does_not_depend_on_the_gain():
    waveform = speech_like(24000)
    spec = get_spec("logmel40", trim_db=35)
    assert len(extract(spec, waveform)) == len(extract(spec, waveform / 64))


def test_a_tone_peaks_in_its_bin():
    tone = np.sin(2 * math.pi * 1000 * np.arange(8000) / 16000).astype(np.float32)
    assert (extract(get_spec("spectrogram400"), tone).argmax(axis=1) == 100).all()
    assert (extract(get_spec("spectrogram200"), tone).argmax(axis=1) == 50).all()


def test_derivatives_of_a_line_and_a_parabola():
    offsets = np.arange(-4, 5)
    assert delta_kernel(1) @ (3.0 * offsets + 1.0) == pytest.approx(3.0)
    assert delta_kernel(2) @ (2.0 * offsets**2 + offsets) == pytest.approx(4.0)


@pytest.mark.parametrize("name", ["logmel23", "logmel40", "mfcc40"])
def test_no_mel_filter_is_empty(name):
    assert (mel_matrix(get_spec(name)).sum(axis=0) > 0).all()


def test_the_same_signal_twice_gives_the_same_bytes():
    waveform = speech_like(16000)
    for spec in map(get_spec, FRAME_SPECS):
        assert extract(spec, waveform).tobytes() == extract(spec, waveform.copy()).tobytes()


def test_stereo_is_refused():
    with pytest.raises(ConfigError, match=r"shape \(100, 2\), expected \(samples,\)"):
        extract(get_spec("logmel40"), np.zeros((100, 2), np.float32))


def test_a_spec_of_no_kind_is_refused():
    with pytest.raises(ConfigError, match="spec of type FrameSpec"):
        extract(FrameSpec(), np.zeros(1000, np.float32))


def test_shared_matrices_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        mel_matrix(get_spec("logmel40"))[0] = 1.0
