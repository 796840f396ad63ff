"""Augmentation of whole batches, against one utterance at a time."""

import numpy as np
import pytest
import tensorflow as tf

from ser_keras.adaptation.augment import augment_batch, stretch_batch
from ser_keras.config import AugmentConfig
from ser_keras.data.augment import stretch_time
from ser_keras.errors import ConfigError
from ser_keras.features.specs import get_spec

SPEC = get_spec("logmel40")
RNG = np.random.default_rng(2)
FEATURES = RNG.normal(size=(3, 30, 40)).astype("float32")
LENGTHS = np.array([30, 12, 1], "int32")
SEED = tf.constant([3, 4], tf.int64)


def augmented(seed=SEED, **settings):
    function = augment_batch(AugmentConfig(**settings), np.full(40, 2.0), SPEC, 40)
    features, lengths = function(tf.constant(FEATURES), tf.constant(LENGTHS), seed)
    return features.numpy(), lengths.numpy()


def test_without_settings_nothing_changes():
    features, lengths = augmented()
    np.testing.assert_array_equal(features, FEATURES)
    assert lengths.tolist() == LENGTHS.tolist()


def test_an_utterance_is_stretched_as_it_is_alone():
    factors = np.array([1.1, 0.8, 1.0], "float32")
    features, lengths = stretch_batch(tf.constant(FEATURES), tf.constant(LENGTHS), factors)
    for number, factor in enumerate(factors):
        alone = stretch_time(tf.constant(FEATURES[number, : LENGTHS[number]]), factor).numpy()
        assert lengths[number] == len(alone)
        np.testing.assert_allclose(features[number, : len(alone)], alone, atol=1e-4)


def test_noise_has_the_deviation_of_the_training_part_as_its_unit():
    features, _ = augmented(noise=0.5)
    assert abs((features - FEATURES).std() - 1.0) < 0.05


def test_masks_show_the_mean_of_their_utterance():
    features, _ = augmented(freq_masks=2, freq_mask_bins=20, time_masks=1, time_mask_frames=8)
    changed = features != FEATURES
    assert changed[0].any()
    mean = FEATURES[0].mean(axis=0)
    np.testing.assert_allclose(
        features[0][changed[0]], np.broadcast_to(mean, (30, 40))[changed[0]], atol=1e-5
    )
    whole_bands = changed[0].all(axis=0)
    whole_frames = changed[0].all(axis=1)
    assert (changed[0] == (whole_bands[None] | whole_frames[:, None])).all()


def test_the_seed_decides_everything():
    settings = {"noise": 0.1, "stretch": 0.1, "warp": 0.1, "freq_masks": 1, "freq_mask_bins": 9}
    first, again = augmented(**settings), augmented(**settings)
    other = augmented(tf.constant([3, 5], tf.int64), **settings)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


def test_mixtures_of_two_speakers_are_refused():
    with pytest.raises(ConfigError, match="mixup"):
        augmented(mixup=0.3)
