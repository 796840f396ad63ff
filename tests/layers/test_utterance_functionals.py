"""Functionals of an utterance, against NumPy on one utterance at a time."""

import keras
import numpy as np
import pytest
import scipy.fft

from ser_keras.layers.utterance_functionals import UtteranceFunctionals

NUM_MELS, NUM_PROSODY, NUM_CEPSTRA, VOICED = 16, 5, 6, 1
RNG = np.random.default_rng(4)


def speech(frames, voiced_share=0.6):
    """Returns random frames whose prosodic value 1 is 1 in voiced frames."""
    values = RNG.normal(size=(frames, NUM_MELS + NUM_PROSODY)) * 3 - 2
    voiced = np.repeat(RNG.random(frames // 4 + 1) < voiced_share, 4)[:frames]
    values[:, NUM_MELS + VOICED] = voiced
    return values.astype("float32")


def statistics(rows):
    if not len(rows):
        return np.zeros(9 * rows.shape[1])
    levels = np.percentile(rows, [5, 25, 50, 75, 95], axis=0)
    return np.concatenate(
        [rows.mean(0), rows.std(0), *levels, levels[4] - levels[0], levels[3] - levels[1]]
    )


def runs_of(voiced):
    """Returns the lengths of the runs of True."""
    lengths, length = [], 0
    for value in [*voiced, False]:
        if value:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    return lengths


def functionals_of(frames):
    mels, prosody = frames[:, :NUM_MELS], frames[:, NUM_MELS:]
    cepstra = scipy.fft.dct(mels, norm="ortho", axis=1)[:, :NUM_CEPSTRA]
    values = np.concatenate([cepstra, prosody], axis=1).astype(np.float64)
    voiced = prosody[:, VOICED] > 0
    time = np.linspace(-1, 1, len(frames)) if len(frames) > 1 else np.zeros(1)
    slopes = np.zeros(values.shape[1])
    if len(frames) > 1:
        slopes = np.array([np.polyfit(time, column, 1)[0] for column in values.T])
    lengths = runs_of(voiced)
    return np.concatenate(
        [
            statistics(values),
            statistics(np.diff(values, axis=0)),
            statistics(prosody[voiced] if voiced.sum() > 5 else prosody),
            slopes,
            [
                voiced.mean(),
                np.mean(lengths) if lengths else 0,
                np.std(lengths) if lengths else 0,
                len(lengths) / len(frames),
                len(frames),
            ],
            mels.mean(0),
            mels.std(0),
        ]
    )


@pytest.fixture(scope="module")
def layer():
    return UtteranceFunctionals(NUM_MELS, NUM_PROSODY, NUM_CEPSTRA, VOICED)


def computed(layer, utterances, extra=0, padding=0.0):
    longest = max(map(len, utterances)) + extra
    batch = np.full((len(utterances), longest, utterances[0].shape[1]), padding, "float32")
    for row, utterance in zip(batch, utterances, strict=True):
        row[: len(utterance)] = utterance
    mask = np.arange(longest)[None] < np.array([[len(u)] for u in utterances])
    return keras.ops.convert_to_numpy(layer(batch, mask=mask))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("frames", [1, 2, 3, 21, 100, 101])
def test_functionals_are_those_of_numpy(frames, share, layer):
    utterance = speech(frames, share)
    actual = computed(layer, [utterance])[0]
    np.testing.assert_allclose(actual, functionals_of(utterance), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("padding", [0.0, 1e3, np.nan])
def test_neither_padding_nor_neighbours_count(padding, layer):
    utterances = [speech(frames) for frames in (40, 7, 1, 93)]
    together = computed(layer, utterances, extra=5, padding=padding)
    for row, utterance in zip(together, utterances, strict=True):
        np.testing.assert_allclose(row, computed(layer, [utterance])[0], atol=1e-3, rtol=1e-4)


def test_the_spec_of_the_project_has_821(layer):
    frames = np.zeros((1, 9, 75), "float32")
    whole = UtteranceFunctionals()
    assert whole(frames, mask=np.ones((1, 9), bool)).shape == (1, 821)
    assert np.isfinite(keras.ops.convert_to_numpy(whole(frames, mask=np.ones((1, 9), bool)))).all()
    assert layer.from_config(layer.get_config()).get_config() == layer.get_config()
