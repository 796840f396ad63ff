import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.errors import ConfigError
from ser_keras.features.extract import extract
from ser_keras.features.frames import FrameSpec
from ser_keras.features.frontend import FrontEnd
from ser_keras.features.graph_features import TWINS
from ser_keras.features.specs import KINDS, get_spec
from tests.features.test_extract import FRAME_SPECS

TOLERANCE = 1e-3


def speech(rng, samples):
    """Returns tones that come and go over noise, with silent ends."""
    time = np.arange(samples) / 16000
    tones = sum(np.sin(2 * np.pi * f * time + f) for f in rng.uniform(80, 6000, 5))
    loudness = np.sin(np.pi * np.linspace(0, 1, samples)) ** 4
    return (0.1 * tones * loudness + 1e-4 * rng.normal(size=samples)).astype(np.float32)


def batch(waveforms, fill=0.0):
    most = max(map(len, waveforms))
    rows = [np.pad(w, (0, most - len(w)), constant_values=fill) for w in waveforms]
    return np.stack(rows), np.array([len(w) for w in waveforms], np.int32)


def check(spec, waveforms, fill=0.0):
    features, mask = map(keras.ops.convert_to_numpy, FrontEnd(spec)(*batch(waveforms, fill)))
    for waveform, rows, real in zip(waveforms, features, mask, strict=True):
        expected = extract(spec, waveform)
        assert real.sum() == len(expected)
        assert real[: len(expected)].all()
        np.testing.assert_allclose(rows[real], expected, atol=TOLERANCE)
        assert not rows[~real].any()


@pytest.mark.parametrize("trim_db", [None, 30])
@pytest.mark.parametrize("name", FRAME_SPECS)
def test_every_spec_equals_the_feature_job_in_a_batch(name, trim_db):
    spec = get_spec(name, trim_db=trim_db)
    rng = np.random.default_rng(3)
    check(spec, [speech(rng, samples) for samples in (50000, 21234, 6000, 300, 1)], fill=0.7)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_lengths_and_trims(data):
    spec = get_spec("logmel23", trim_db=data.draw(st.sampled_from([None, 10.0, 60.0])))
    lengths = data.draw(st.lists(st.integers(1, 4000), min_size=1, max_size=4))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    check(spec, [speech(rng, samples) for samples in lengths])


def test_silence_and_nothing_give_a_frame_like_the_job():
    spec = get_spec("logmel40", trim_db=35)
    check(spec, [np.zeros(16000, np.float32), np.zeros(16000, np.float32)])
    features, mask = FrontEnd(spec)(np.zeros((1, 0), np.float32), np.array([0]))
    assert tuple(features.shape) == (1, 1, 40)
    assert keras.ops.convert_to_numpy(mask).tolist() == [[True]]


def test_it_is_saved_with_its_spec_and_runs_in_a_graph(tmp_path):
    waveform = keras.Input((None,), name="waveform")
    length = keras.Input((), dtype="int32", name="length")
    model = keras.Model([waveform, length], FrontEnd(get_spec("mfcc40-delta"))(waveform, length))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert restored.layers[-1].spec == get_spec("mfcc40-delta")
    values = batch([speech(np.random.default_rng(0), 8000)])
    before, after = model.predict_on_batch(values), restored.predict_on_batch(values)
    for expected, output in zip(before, after, strict=True):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.realdata
@pytest.mark.parametrize("name", FRAME_SPECS)
def test_every_spec_equals_the_feature_job_on_real_speech(name, real_data):
    from ser_keras.audio import read_audio

    spec = get_spec(name, trim_db=35)
    paths = sorted((real_data / "ravdess").rglob("*.flac"))[::180]
    rate = spec.sample_rate_hz
    check(spec, [read_audio(path, sample_rate_hz=rate) for path in paths])


@pytest.mark.parametrize("name", ["mfcc40-windows-short", "mfcc40-delta", "logmel40-deltas"])
def test_a_stretch_has_the_features_of_the_recording_it_is_from(name):
    # So near to the loudest, many values are cut off.
    spec = get_spec(name, top_db=30) if name.startswith("mfcc") else get_spec(name)
    waveform = 30 * speech(np.random.default_rng(5), 48000)
    whole = extract(spec, waveform)
    front_end, level = FrontEnd(spec), np.array([-1000.0], np.float32)
    for end in (40000, 48000):
        *_, level = front_end.of_stretch(waveform[None, :end], np.array([end]), level)
    hop = spec.vector_hop_samples
    for first, frames in ((3, 1), (5, 7)):
        start, samples = first * hop, 16000 + frames * hop
        stretch = waveform[None, start : start + samples]
        features, mask, after = front_end.of_stretch(stretch, np.array([samples]), level)
        assert keras.ops.convert_to_numpy(after) == level
        count = int(keras.ops.convert_to_numpy(mask).sum())
        # Derivatives reach over four frames, except in windows, which are alone.
        edge = 0 if name.startswith("mfcc40-windows") else 4
        assert spec.context_frames == edge
        rows = keras.ops.convert_to_numpy(features)[0, edge : count - edge]
        expected = whole[first + edge : first + count - edge]
        np.testing.assert_allclose(rows, expected, atol=TOLERANCE)


def test_a_stretch_is_not_trimmed_and_says_how_loud_it_was():
    spec = get_spec("mfcc40", trim_db=20)
    waveform = np.concatenate([np.zeros(8000), 1e4 * speech(np.random.default_rng(0), 8000)])
    waveform = waveform[None].astype(np.float32)
    front_end = FrontEnd(spec)
    quiet, mask, low = front_end.of_stretch(waveform[:, :8000], [8000], [-1000.0])
    assert int(keras.ops.convert_to_numpy(mask).sum()) == spec.num_frames(8000)
    assert float(low[0]) == spec.top_db - 100  # below it nothing is cut off: the floor is -100 dB
    _, _, high = front_end.of_stretch(waveform, [16000], low)
    assert float(high[0]) > 40
    raised, _, same = front_end.of_stretch(waveform[:, :8000], [8000], high)
    assert float(same[0]) == float(high[0])
    assert np.abs(keras.ops.convert_to_numpy(raised - quiet)).max() > 10


def test_every_kind_but_the_functionals_has_a_twin_and_no_other_spec_is_taken():
    assert set(TWINS) == set(KINDS) - {"opensmile"}
    for spec, kind in ((FrameSpec(), r"\(none\)"), (get_spec("compare"), "opensmile")):
        with pytest.raises(ConfigError, match=f"kind {kind}, which a model's graph cannot"):
            FrontEnd(spec)
