"""Normalisation by speaker, against the definition written out in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.layers.speaker_normalization import (
    EPSILON,
    EmbeddingNormalization,
    SpeakerNormalization,
)

RNG = np.random.default_rng(5)


def as_numpy(values):
    return keras.ops.convert_to_numpy(values)


def statistics_of(rows):
    """Returns count, mean and mean of squares of rows (n, dim), in one row."""
    row = np.concatenate([[len(rows)], rows.mean(axis=0), np.square(rows).mean(axis=0)])
    return row.astype("float32")


def expected_normalization(values, rows, prior):
    """Normalises by the mean and variance of `rows` joined by a prior of mean 0 and variance 1."""
    share = len(rows) / (len(rows) + prior)
    mean = share * rows.mean(axis=0)
    variance = share * np.square(rows - mean).mean(axis=0) + (1 - share)
    return (values - mean) / np.sqrt(variance + EPSILON)


@given(
    count=st.integers(1, 30),
    prior=st.floats(0.1, 100.0),
    offset=st.floats(-5, 5),
    scale=st.floats(0.1, 5),
)
def test_a_speaker_is_shrunk_towards_the_training_part(count, prior, offset, scale):
    rng = np.random.default_rng(count)
    rows = offset + scale * rng.normal(size=(count, 3))
    values = rng.normal(size=(1, 7, 3)).astype("float32")
    layer = SpeakerNormalization(prior_count=prior)
    normalized = as_numpy(layer(values, statistics_of(rows)[None]))
    np.testing.assert_allclose(
        normalized, expected_normalization(values, rows, prior), atol=2e-3, rtol=2e-3
    )


def test_of_an_unknown_speaker_values_stay_as_they_are():
    values = RNG.normal(size=(2, 4)).astype("float32")
    normalized = as_numpy(SpeakerNormalization(5.0)(values, np.zeros((2, 9), "float32")))
    np.testing.assert_allclose(normalized, values / np.sqrt(1 + EPSILON), atol=1e-6)


def test_with_all_of_a_speaker_the_mean_is_0_and_the_deviation_1():
    rows = 3 + 2 * RNG.normal(size=(400, 2))
    layer = SpeakerNormalization(0.0)
    normalized = as_numpy(layer(rows[None].astype("float32"), statistics_of(rows)[None]))[0]
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normalized.std(axis=0), 1, atol=1e-3)


def test_results_are_clipped_and_padding_is_0():
    values = np.array([[[9.0], [-9.0], [1.0]]], "float32")
    mask = np.array([[True, True, False]])
    layer = SpeakerNormalization(1.0, limit=6.0)
    normalized = as_numpy(layer(values, np.zeros((1, 3), "float32"), mask=mask))
    assert normalized.ravel().tolist() == [6.0, -6.0, 0.0]


@pytest.fixture
def embedding():
    layer = EmbeddingNormalization(prior_count=2.0, momentum=0.5)
    layer.build((None, 3))
    return layer


SPEAKERS = np.array([0, 1, 0, 1, 1], "int32")
BATCH = (RNG.normal(size=(5, 3)) * 3 + 1).astype("float32")
UNKNOWN = np.zeros((5, 7), "float32")


def test_in_training_each_speaker_of_the_batch_is_standardised_alone(embedding):
    normalized, _ = embedding(BATCH, UNKNOWN, SPEAKERS, training=True)
    for speaker in (0, 1):
        rows = BATCH[speaker == SPEAKERS]
        expected = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + EPSILON)
        actual = as_numpy(normalized)[speaker == SPEAKERS]
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_a_blind_batch_is_one_group_and_moves_the_averages(embedding):
    normalized, _ = embedding(BATCH, UNKNOWN, np.full(5, -1, "int32"), training=True)
    expected = (BATCH - BATCH.mean(axis=0)) / np.sqrt(BATCH.var(axis=0) + EPSILON)
    np.testing.assert_allclose(as_numpy(normalized), expected, atol=1e-4)
    np.testing.assert_allclose(as_numpy(embedding.moving_mean), 0.5 * BATCH.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        as_numpy(embedding.moving_variance), 0.5 + 0.5 * BATCH.var(axis=0), atol=1e-5
    )


def test_adapted_batches_leave_the_averages_alone(embedding):
    embedding(BATCH, UNKNOWN, SPEAKERS, training=True)
    assert as_numpy(embedding.moving_mean).tolist() == [0.0] * 3
    assert as_numpy(embedding.moving_variance).tolist() == [1.0] * 3


def test_at_inference_the_averages_come_first_and_then_the_speaker(embedding):
    embedding.moving_mean.assign([1.0, 2.0, 3.0])
    embedding.moving_variance.assign([4.0, 4.0, 4.0])
    standardized = (BATCH - [1.0, 2.0, 3.0]) / np.sqrt(4.0 + EPSILON)
    enrolled = RNG.normal(size=(6, 3)) + 1
    statistics = np.tile(statistics_of(enrolled), (5, 1))
    normalized, output = embedding(BATCH, statistics, SPEAKERS, training=False)
    np.testing.assert_allclose(as_numpy(output), standardized, atol=1e-5)
    expected = expected_normalization(standardized, enrolled, 2.0)
    np.testing.assert_allclose(as_numpy(normalized), expected, atol=1e-3)


def test_both_layers_keep_their_configuration():
    for layer in (SpeakerNormalization(3.0, limit=2.0), EmbeddingNormalization(4.0, momentum=0.8)):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
