"""The functionals of an utterance against NumPy's statistics of that utterance alone."""

import functools
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.features.extract import extract
from ser_keras.features.kinds.prosody import PROSODY_NAMES
from ser_keras.features.specs import get_spec
from ser_keras.layers import utterance_functionals
from ser_keras.layers.utterance_functionals import UtteranceFunctionals
from tests.reference.functionals import functionals

ROOT = Path(__file__).parents[2]

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
# Batches have few shapes: JAX takes ten seconds to compile the layer for another one.
ROWS = 3
WIDTHS = (60, 360, 2507)

# Where the parts of mel64-prosody's functionals begin that tests below look at.
VOICING, MODULATION, SHARES, PEAKS, SHAPES, MOMENTS, CORRELATIONS = (
    *(688, 881, 976, 1121, 1144, 1165, 1207),
)


def random_features(frames, seed, voiced_share=0.5, num_mels=64):
    rng = np.random.default_rng(seed)
    features = 3 * rng.normal(size=(frames, num_mels + 11)) - 2
    features[:, num_mels + 1] = np.repeat(rng.uniform(size=frames) < voiced_share, 3)[:frames]
    return features.astype(np.float32)


def speechlike_features(frames, seed):
    """Returns features that have the ranges and the slow changes of those of speech."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 100
    syllables = np.sin(2 * np.pi * rng.uniform(3, 6) * time + rng.uniform(0, 6))
    mels = -4 + 2 * syllables + 0.3 * rng.normal(size=(frames, 64)).cumsum(axis=1) / 4
    voiced = syllables > -0.3
    loudness = np.exp(0.3 * mels).sum(axis=1, keepdims=True)
    noise = rng.normal(size=(frames, 9))
    log_f0 = 7.5 + 0.3 * np.sin(2 * np.pi * 0.7 * time) + 0.02 * noise[:, :1]
    scales = [0.1, 4, 0.5, 0.1, 3, 0.01, 1, 0.2]
    others = np.array([0.7, 8, -1, 0.2, 20, -0.05, 2, 0]) + scales * noise[:, 1:]
    prosody = [log_f0, voiced, others[:, :2], others[:, 2:3] + syllables, loudness, others[:, 3:]]
    return np.column_stack([mels, *prosody]).astype(np.float32)


@functools.cache
def layer_call(**options):
    """Returns the layer as a function of features and mask, compiled where that is quicker."""
    layer = UtteranceFunctionals(**options)
    if keras.backend.backend() != "jax":
        return lambda features, mask: layer(features, mask=mask)
    import jax

    return jax.jit(lambda features, mask: layer(features, mask=mask))


def outputs_of(utterances, fill=0.0, width=None, **options):
    """Returns the functionals of each utterance, from one batch of `width` frames.

    Without a width it is the next of `WIDTHS`. The batch has rows of `fill` where utterances end.
    """
    longest = max(map(len, utterances))
    width = width or next(width for width in WIDTHS if width >= longest)
    batch = np.full((ROWS, width, utterances[0].shape[1]), fill, np.float32)
    lengths = np.ones(ROWS, int)
    for row, utterance in enumerate(utterances):
        batch[row, : len(utterance)] = utterance
        lengths[row] = len(utterance)
    mask = np.arange(width)[None] < lengths[:, None]
    outputs = keras.ops.convert_to_numpy(layer_call(**options)(batch, mask))
    return outputs[: len(utterances)]


def assert_functionals(outputs, utterances, tolerance=3e-4, **sizes):
    for output, utterance in zip(outputs, utterances, strict=True):
        expected = functionals(utterance, **sizes)
        np.testing.assert_allclose(output, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=20)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    fill=st.sampled_from([0.0, 1e6, np.nan, np.inf]),
    seed=st.integers(0, 99),
)
def test_every_utterance_of_a_batch_has_its_own_functionals(lengths, share, fill, seed):
    utterances = [random_features(frames, seed + k, share) for k, frames in enumerate(lengths)]
    outputs = outputs_of(utterances, fill)
    assert outputs.shape == (len(lengths), 1243)
    assert_functionals(outputs, utterances)


@pytest.mark.parametrize("seed", range(3))
def test_functionals_of_values_like_those_of_speech(seed):
    utterances = [speechlike_features(frames, seed) for frames in (333, 90, 201)]
    assert_functionals(outputs_of(utterances, -1.0), utterances, 1e-3)


@pytest.mark.parametrize("frames", [1023, 1024, 1025, 2500])
def test_utterances_longer_than_the_transform(frames):
    utterances = [random_features(frames, 1), random_features(300, 2)]
    assert_functionals(outputs_of(utterances, 9.0), utterances, 1e-3)


def test_padding_changes_nothing():
    utterances = [speechlike_features(frames, frames) for frames in (1, 7, 150)]
    batch = outputs_of(utterances, 1e3, 2507)
    for output, utterance in zip(batch, utterances, strict=True):
        alone = outputs_of([utterance], width=len(utterance) if ON_TENSORFLOW else 360)[0]
        np.testing.assert_allclose(output, alone, rtol=1e-4, atol=1e-4)


def test_other_numbers_of_values():
    utterances = [random_features(frames, frames, num_mels=12) for frames in (30, 7)]
    sizes = {"num_mels": 12, "num_cepstra": 9}
    outputs = outputs_of(utterances, 7.0, **sizes)
    assert outputs.shape[1] == UtteranceFunctionals(**sizes).size
    assert_functionals(outputs, utterances, **sizes)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 1100])
@pytest.mark.parametrize("level", [-11.5, 0.0, 7.3, 300.0])
def test_constant_values_have_neither_changes_nor_moments(frames, level):
    for voiced in (0.0, 1.0):
        utterance = np.full((frames, 75), level, np.float32)
        utterance[:, 65] = voiced
        output = outputs_of([utterance], 5.0)[0]
        assert np.isfinite(output).all()
        np.testing.assert_allclose(output[MODULATION:SHARES], np.log(1e-4), rtol=1e-3)
        # Between the silence before and behind, a few loud frames are one syllable.
        assert output[PEAKS] in ((0,) if frames > 5 else (0, pytest.approx(100 / frames)))
        np.testing.assert_array_equal(output[PEAKS + 1 : PEAKS + 3], 0)
        # Positions of the first frame, and no thirds, rises or falls.
        np.testing.assert_allclose(output[SHAPES:MOMENTS], 0, atol=1e-4)
        np.testing.assert_allclose(output[MOMENTS:], 0, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_utterances_are_finite(frames):
    for voiced_share in (0.0, 1.0):
        utterance = random_features(frames, 0, voiced_share)
        output = outputs_of([utterance], width=frames if ON_TENSORFLOW else None)
        assert np.isfinite(output).all()
        assert_functionals(output, [utterance])


def test_voiced_runs_are_counted_from_end_to_end():
    utterance = random_features(12, 0)
    utterance[:, 65] = [1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1]
    share, mean, deviation, rate, frames = outputs_of([utterance], 1.0)[0, VOICING : VOICING + 5]
    assert (share, mean, frames) == (pytest.approx(9 / 12), pytest.approx(3), 12)
    assert (deviation, rate) == (pytest.approx(np.sqrt(2 / 3)), pytest.approx(3 / 12))


def test_peaks_and_modulation_are_those_of_a_known_syllable_rate():
    utterance = random_features(300, 0)
    # Five peaks per second, 20 frames apart.
    utterance[:, 64 + 5] = 50 - 20 * np.cos(2 * np.pi * 5 * np.arange(300) / 100)
    output = outputs_of([utterance])[0]
    rate, deviation, mean = output[PEAKS : PEAKS + 3]
    assert (rate, deviation, mean) == (pytest.approx(5), pytest.approx(0), pytest.approx(20))
    shares = np.exp(output[SHARES : SHARES + 95].reshape(5, 19)[:, 5])
    assert shares.argmax() == 2
    assert shares[2] > 0.99


def test_correlated_values_have_a_correlation_of_one():
    utterance = random_features(80, 0)
    utterance[:, 64 + 2] = 3 * utterance[:, 64] + 1
    utterance[:, 64 + 4] = -utterance[:, 64]
    pairs = outputs_of([utterance])[0, CORRELATIONS:]
    assert pairs[:2] == pytest.approx([1, -1], abs=1e-3)


def test_prosodic_values_stand_where_the_features_have_them():
    columns = {
        "LOG_F0": "log2 F0",
        "VOICED": "voiced",
        "AUTOCORRELATION": "autocorrelation",
        "HARMONICITY": "harmonics-to-noise ratio",
        "LOG_ENERGY": "log energy",
        "LOUDNESS": "loudness",
        "FLUX": "flux",
        "CENTROID": "centroid",
        "SLOPE": "slope",
        "LOW_HIGH": "low - high",
        "DELTA_F0": "delta F0",
    }
    assert len(columns) == utterance_functionals.NUM_PROSODY
    for constant, name in columns.items():
        assert PROSODY_NAMES[getattr(utterance_functionals, constant)] == name


def test_the_documentation_counts_them_all():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = text.split("## Functionals of an utterance")[1].split("## ")[0]
    numbers = [int(row.split("|")[3]) for row in re.findall(r"^\|.*\d \|$", section, re.MULTILINE)]
    size = UtteranceFunctionals().size
    assert sum(numbers) == size
    assert f"`functionals: {size}`" in section


def test_too_few_cepstra_are_refused():
    with pytest.raises(ValueError, match="num_cepstra=7, expected 8 to num_mels, which is 64"):
        UtteranceFunctionals(num_cepstra=7)


def test_a_batch_may_have_no_frame_beside_the_first_and_equals_a_graph():
    layer = UtteranceFunctionals()
    features, mask = keras.Input((None, 75)), keras.Input((None,), dtype="bool")
    model = keras.Model([features, mask], layer(features, mask=mask))
    assert model.output_shape == (None, 1243)
    for frames in (1, 40) if ON_TENSORFLOW else (1,):
        utterance = random_features(frames, frames)
        output = model.predict_on_batch([utterance[None], np.ones((1, frames), bool)])
        assert_functionals(output, [utterance])


def test_the_layer_is_built_again_from_its_configuration():
    layer = UtteranceFunctionals(num_mels=30, num_cepstra=12, hop_s=0.02)
    again = UtteranceFunctionals.from_config(layer.get_config())
    assert (again.num_mels, again.num_cepstra, again.hop_s) == (30, 12, 0.02)
    assert again.size == layer.size


@pytest.mark.skipif(not ON_TENSORFLOW, reason="a SavedModel is TensorFlow's")
def test_a_saved_model_takes_batches_and_lengths_that_it_was_not_traced_with(tmp_path):
    import tensorflow as tf

    layer = UtteranceFunctionals()
    module = tf.Module()
    module.serve = tf.function(
        lambda features, mask: layer(features, mask=mask),
        input_signature=[
            tf.TensorSpec((None, None, 75), tf.float32),
            tf.TensorSpec((None, None), tf.bool),
        ],
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    serve = tf.saved_model.load(str(tmp_path / "model")).serve
    for batch, frames in ((1, 1), (2, 130), (3, 1500)):
        utterances = [random_features(frames, row) for row in range(batch)]
        outputs = serve(np.stack(utterances), np.ones((batch, frames), bool))
        assert_functionals(outputs.numpy(), utterances, 1e-3)


@pytest.mark.realdata
def test_functionals_of_real_speech_equal_numpy(real_data):
    from ser_keras.audio import read_audio

    files = sorted((real_data / "emodb" / "wav").glob("*.wav"))[::60]
    spec = get_spec("mel64-prosody", trim_db=35)
    utterances = [extract(spec, read_audio(path)) for path in files]
    for utterance in utterances:
        assert_functionals(outputs_of([utterance], 0.5), [utterance], 1e-3)
