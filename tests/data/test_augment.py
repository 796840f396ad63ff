import librosa
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.config import AugmentConfig
from ser_keras.data.augment import (
    distort,
    mix_pairs,
    spec_augment,
    stretch_time,
    warp_matrices,
)
from ser_keras.errors import ConfigError
from ser_keras.features.kinds.logmel import LogMelSpec
from ser_keras.features.kinds.mfcc import MfccSpec
from ser_keras.features.kinds.spectrogram import SpectrogramSpec
from ser_keras.features.specs import get_spec

SPEC = SpectrogramSpec(num_bins=12)

SPEECH = np.random.default_rng(0).normal(size=(50, 12)).astype(np.float32)


@given(factor=st.floats(0.5, 2.0))
@settings(max_examples=20, deadline=None)
def test_stretching_interpolates_between_frames(factor):
    stretched = stretch_time(tf.constant(SPEECH), tf.constant(factor, tf.float32)).numpy()
    count = max(1, round(np.float32(50) * np.float32(factor)))
    positions = np.linspace(0, 49, count)
    expected = np.stack([np.interp(positions, np.arange(50), column) for column in SPEECH.T], 1)
    np.testing.assert_allclose(stretched, expected, atol=1e-4)


@given(factor=st.floats(0.8, 1.2))
@settings(max_examples=20, deadline=None)
def test_warping_shows_at_each_frequency_what_stood_at_a_multiple(factor):
    linear = np.arange(12.0)
    mel = librosa.mel_frequencies(14, fmin=0.0, fmax=8000.0)[1:-1]
    cepstra = librosa.feature.mfcc(S=SPEECH.T, n_mfcc=12).T
    for spec, hertz, frames in (
        (SpectrogramSpec(num_bins=12), linear, SPEECH),
        (LogMelSpec(num_mels=12), mel, SPEECH),
        (MfccSpec(num_mels=12, num_mfcc=12), mel, cepstra),
    ):
        warped = frames @ warp_matrices(spec, np.array([factor]))[0]
        moved = [np.interp(hertz * factor, hertz, energies) for energies in SPEECH]
        expected = np.stack(moved)
        if spec.kind == "mfcc":
            expected = librosa.feature.mfcc(S=expected.T, n_mfcc=12).T
        np.testing.assert_allclose(warped, expected, atol=1e-3)


def test_prosody_stays_while_its_mel_bands_are_warped():
    spec = get_spec("mel64-prosody")
    frames = np.random.default_rng(1).normal(size=(5, 75)).astype(np.float32)
    warped = frames @ warp_matrices(spec, np.array([0.9]))[0]
    np.testing.assert_array_equal(warped[:, 64:], frames[:, 64:])
    hertz = librosa.mel_frequencies(66, fmin=50.0, fmax=7800.0, htk=True)[1:-1]
    expected = [np.interp(hertz * 0.9, hertz, energies) for energies in frames[:, :64]]
    np.testing.assert_allclose(warped[:, :64], expected, atol=1e-4)


def test_derivatives_are_warped_like_what_they_are_derived_from():
    settings = AugmentConfig(warp=0.2)
    seed = tf.constant([1, 2], tf.int64)
    change = distort(settings, np.ones(24), LogMelSpec(num_mels=12, num_deltas=1))
    alone = distort(settings, np.ones(12), LogMelSpec(num_mels=12))
    both = change(tf.concat([SPEECH, 2 * SPEECH], axis=1), seed).numpy()
    np.testing.assert_allclose(both[:, :12], alone(tf.constant(SPEECH), seed), atol=1e-5)
    np.testing.assert_allclose(both[:, 12:], 2 * both[:, :12], atol=1e-5)
    assert np.abs(both[:, :12] - SPEECH).max() > 0.1


def test_windows_of_frames_have_no_frequencies_to_warp():
    with pytest.raises(ConfigError, match=r"warp with features of kind 'mfcc_windows'.*Set"):
        distort(AugmentConfig(warp=0.1), np.ones(40), get_spec("mfcc40-windows"))
    distort(AugmentConfig(noise=0.1), np.ones(40), get_spec("mfcc40-windows"))


def test_noise_and_gain_follow_the_deviation_of_each_bin():
    deviation = np.linspace(1, 4, 12)
    change = distort(AugmentConfig(noise=0.5), deviation, SPEC)
    silence = tf.zeros((4000, 12))
    spread = change(silence, tf.constant([1, 2], tf.int64)).numpy().std(axis=0)
    np.testing.assert_allclose(spread, 0.5 * deviation, rtol=0.1)
    shift = distort(AugmentConfig(gain=0.5), deviation, SPEC)(
        silence, tf.constant([1, 2], tf.int64)
    )
    level = shift.numpy() / deviation
    np.testing.assert_allclose(level, level[0, 0], rtol=1e-5)


def test_nothing_asked_changes_nothing():
    unchanged = distort(AugmentConfig(), np.ones(12), SPEC)(
        tf.constant(SPEECH), tf.constant([1, 2], tf.int64)
    )
    np.testing.assert_array_equal(unchanged.numpy(), SPEECH)


def test_masks_show_the_mean_in_whole_bands():
    pytest.importorskip("tensorflow_io", reason="SpecAugment needs tensorflow-io")
    mean = np.linspace(-3, 3, 12).astype(np.float32)
    widths = AugmentConfig(freq_masks=1, freq_mask_bins=6, time_masks=1, time_mask_frames=10)
    mask = spec_augment(widths, mean)
    tf.random.set_seed(1)
    hidden_bins, hidden_frames = 0, 0
    for _ in range(30):
        masked = mask(tf.constant(SPEECH)).numpy()
        hidden = np.isclose(masked, mean, atol=1e-5)
        kept = ~hidden
        np.testing.assert_allclose(masked[kept], SPEECH[kept], atol=1e-5)
        hidden_bins = max(hidden_bins, hidden.all(axis=0).sum())
        hidden_frames = max(hidden_frames, hidden.all(axis=1).sum())
        assert hidden.all(axis=0).sum() < 6
        assert hidden.all(axis=1).sum() < 10
    assert hidden_bins > 2
    assert hidden_frames > 4


def test_mixing_keeps_the_longer_speech_and_the_sum_of_targets():
    features = tf.constant(np.stack([np.full((3, 1), 1.0), np.full((3, 1), 5.0)]), tf.float32)
    mask = tf.constant([[True, True, False], [True, True, True]])
    inputs, targets, weights = mix_pairs(
        {"features": features, "mask": mask},
        tf.eye(2),
        tf.constant([1.0, 3.0]),
        tf.constant(0.75),
    )
    np.testing.assert_allclose(inputs["features"][0, :, 0], [2.0, 2.0, 5.0])
    np.testing.assert_allclose(inputs["features"][1, :, 0], [4.0, 4.0, 5.0])
    assert inputs["mask"].numpy().all()
    np.testing.assert_allclose(targets, [[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(weights, [1.5, 2.5])
