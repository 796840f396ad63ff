"""The functionals of an utterance against NumPy's statistics of that utterance alone."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct

from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec
from ser_keras.layers.utterance_functionals import UtteranceFunctionals

LEVELS = [5, 25, 50, 75, 95]


def statistics(values):
    quantiles = np.percentile(values, LEVELS, axis=0)
    ranges = [quantiles[4] - quantiles[0], quantiles[3] - quantiles[1]]
    return np.concatenate([values.mean(axis=0), values.std(axis=0), *quantiles, *ranges])


def runs_of(voiced):
    """Returns the lengths of the voiced runs, counted frame by frame."""
    lengths, before = [], False
    for is_voiced in voiced:
        if is_voiced and before:
            lengths[-1] += 1
        elif is_voiced:
            lengths.append(1)
        before = is_voiced
    return lengths


def functionals(features, num_mels=64, num_cepstra=20, voiced=1):
    """Returns the functionals of one utterance (frames, dim) in float64."""
    features = features.astype(np.float64)
    mels, prosody = features[:, :num_mels], features[:, num_mels:]
    values = np.column_stack([dct(mels, norm="ortho", axis=1)[:, :num_cepstra], prosody])
    count = len(values)
    changes = np.diff(values, axis=0) if count > 1 else np.zeros((1, values.shape[1]))
    is_voiced = prosody[:, voiced] > 0
    chosen = prosody[is_voiced] if is_voiced.sum() > 5 else prosody
    slopes = np.zeros(values.shape[1])
    if count > 1:
        slopes = np.polyfit(np.linspace(-1, 1, count), values, 1)[0]
    lengths = runs_of(is_voiced) or [0]
    runs = [is_voiced.mean(), np.mean(lengths), np.std(lengths), len(runs_of(is_voiced)) / count]
    return np.concatenate(
        [
            statistics(values),
            statistics(changes),
            statistics(chosen),
            slopes,
            [*runs, count],
            mels.mean(axis=0),
            mels.std(axis=0),
        ]
    )


def random_features(frames, seed, voiced_share=0.5, num_mels=64, num_prosody=11):
    rng = np.random.default_rng(seed)
    features = 3 * rng.normal(size=(frames, num_mels + num_prosody)) - 2
    features[:, num_mels + 1] = np.repeat(rng.uniform(size=frames) < voiced_share, 3)[:frames]
    return features.astype(np.float32)


def outputs_of(utterances, extra, fill, **options):
    """Returns the functionals of utterances that are one batch, `extra` frames wider than all."""
    most = max(map(len, utterances)) + extra
    batch = np.full((len(utterances), most, utterances[0].shape[1]), fill, np.float32)
    for row, utterance in zip(batch, utterances, strict=True):
        row[: len(utterance)] = utterance
    mask = np.arange(most)[None] < np.array([[len(utterance)] for utterance in utterances])
    return keras.ops.convert_to_numpy(UtteranceFunctionals(**options)(batch, mask=mask))


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    extra=st.integers(0, 9),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    fill=st.sampled_from([0.0, 1e6, np.nan, np.inf]),
    seed=st.integers(0, 99),
)
def test_every_utterance_of_a_batch_has_its_own_functionals(lengths, extra, share, fill, seed):
    utterances = [random_features(frames, seed + k, share) for k, frames in enumerate(lengths)]
    outputs = outputs_of(utterances, extra, fill)
    assert outputs.shape == (len(lengths), 821)
    for output, utterance in zip(outputs, utterances, strict=True):
        np.testing.assert_allclose(output, functionals(utterance), rtol=1e-4, atol=1e-4)


def test_other_numbers_of_values():
    utterances = [random_features(frames, frames, num_mels=9, num_prosody=3) for frames in (30, 7)]
    sizes = {"num_mels": 9, "num_cepstra": 4}
    outputs = outputs_of(utterances, 2, 7.0, num_prosody=3, voiced=1, **sizes)
    for output, utterance in zip(outputs, utterances, strict=True):
        expected = functionals(utterance, voiced=1, **sizes)
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_utterances_are_finite(frames):
    for voiced_share in (0.0, 1.0):
        utterance = random_features(frames, 0, voiced_share)
        output = outputs_of([utterance], 0, 0.0)[0]
        assert np.isfinite(output).all()
        np.testing.assert_allclose(output, functionals(utterance), rtol=1e-4, atol=1e-4)


def test_voiced_runs_are_counted_from_end_to_end():
    utterance = random_features(12, 0)
    utterance[:, 65] = [1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1]
    share, mean, deviation, rate, frames = outputs_of([utterance], 4, 1.0)[0, -133:-128]
    assert (share, mean, frames) == (pytest.approx(9 / 12), pytest.approx(3), 12)
    assert (deviation, rate) == (pytest.approx(np.sqrt(2 / 3)), pytest.approx(3 / 12))


def test_a_batch_may_have_no_frame_beside_the_first_and_equals_a_graph():
    layer = UtteranceFunctionals()
    features, mask = keras.Input((None, 75)), keras.Input((None,), dtype="bool")
    model = keras.Model([features, mask], layer(features, mask=mask))
    assert model.output_shape == (None, 821)
    for frames in (1, 40):
        utterance = random_features(frames, frames)
        output = model.predict_on_batch([utterance[None], np.ones((1, frames), bool)])
        np.testing.assert_allclose(output[0], functionals(utterance), rtol=1e-4, atol=1e-4)


@pytest.mark.realdata
def test_functionals_of_real_speech_equal_numpy(real_data):
    from ser_keras.audio import read_audio

    files = sorted((real_data / "emodb" / "wav").glob("*.wav"))[::60]
    spec = get_spec("mel64-prosody", trim_db=35)
    utterances = [extract(spec, read_audio(path)) for path in files]
    for output, utterance in zip(outputs_of(utterances, 3, 0.5), utterances, strict=True):
        np.testing.assert_allclose(output, functionals(utterance), rtol=1e-3, atol=1e-3)
