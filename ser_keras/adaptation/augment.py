"""Augmentation of a whole padded batch at once: what `ser_keras.data.augment` does to utterances.

A batch in one pass costs a tenth of the same utterances one by one. Masks show the mean of the
utterance that they lie in, whatever it is normalised by later.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ser_keras.config import AugmentConfig
from ser_keras.data.augment import WARPS, warp_matrices
from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec

Padded = tuple[tf.Tensor, tf.Tensor]


def augment_batch(
    settings: AugmentConfig, deviation: np.ndarray, spec: FrameSpec, bands: int
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Padded]:
    """Returns the function (features, lengths, seed) -> (features, lengths).

    It takes float32 (batch, frames, dim), int32 (batch,) and an int64 pair.

    Args:
        settings: how much of everything.
        deviation: (dim,). Deviation of each value on the training part; the unit of noise and gain.
        spec: what the features are.
        bands: int. Values at the front of a frame that are bands of frequency; masks of frequency
            lie in these.

    Raises:
        ConfigError: the features have no frequencies to warp, or mixup is asked for.
    """
    if settings.mixup:
        raise ConfigError(
            f"config: augment.mixup is {settings.mixup:g} with normalizer 'speaker', expected 0: a "
            "mixture of two utterances has no speaker. Set augment.mixup to 0."
        )
    scale = tf.constant(deviation, tf.float32)
    if settings.warp:
        factors = np.linspace(1 - settings.warp, 1 + settings.warp, WARPS)
        warps = tf.constant(warp_matrices(spec, factors))

    def apply(features: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor) -> Padded:
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 6))
        batch = tf.shape(features)[0]
        if settings.stretch:
            change = tf.random.stateless_uniform(
                (batch,), seeds[0], -settings.stretch, settings.stretch
            )
            features, lengths = stretch_batch(features, lengths, 1.0 + change)
        if settings.warp:
            numbers = tf.random.stateless_uniform((batch,), seeds[1], 0, WARPS, tf.int32)
            features = tf.matmul(features, tf.gather(warps, numbers))
        if settings.gain:
            level = tf.random.stateless_normal((batch, 1, 1), seeds[2], stddev=settings.gain)
            features += level * scale
        mean = _mean(features, lengths)
        if settings.noise:
            features += scale * tf.random.stateless_normal(
                tf.shape(features), seeds[3], stddev=settings.noise
            )
        covered = _covered(tf.shape(features), lengths, settings, bands, seeds[4], seeds[5])
        return tf.where(covered, mean, features), lengths

    return apply


def stretch_batch(features: tf.Tensor, lengths: tf.Tensor, factors: tf.Tensor) -> Padded:
    """Returns the utterances at other tempos, by linear interpolation between frames.

    Args:
        features: (batch, frames, dim).
        lengths: int (batch,). Frames of each utterance.
        factors: (batch,). New length over old length.

    Returns:
        features: (batch, frames of the longest, dim); behind an utterance its last frame.
        lengths: int32 (batch,).
    """
    before = tf.cast(lengths, tf.float32)
    after = tf.maximum(1.0, tf.round(before * factors))
    steps = (before - 1.0) / tf.maximum(after - 1.0, 1.0)
    positions = tf.range(tf.reduce_max(after))[None] * steps[:, None]
    positions = tf.minimum(positions, before[:, None] - 1.0)
    below = tf.cast(tf.floor(positions), tf.int32)
    above = tf.minimum(below + 1, tf.cast(lengths, tf.int32)[:, None] - 1)
    share = (positions - tf.cast(below, tf.float32))[..., None]
    lower = tf.gather(features, below, batch_dims=1)
    upper = tf.gather(features, above, batch_dims=1)
    return lower + share * (upper - lower), tf.cast(after, tf.int32)


def _mean(features: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns the mean frame of each utterance, (batch, 1, dim)."""
    real = tf.sequence_mask(lengths, tf.shape(features)[1], tf.float32)[..., None]
    frames = tf.cast(lengths, tf.float32)[:, None, None]
    return tf.reduce_sum(features * real, axis=1, keepdims=True) / frames


def _covered(
    shape: tf.Tensor,
    lengths: tf.Tensor,
    settings: AugmentConfig,
    bands: int,
    frequency_seed: tf.Tensor,
    time_seed: tf.Tensor,
) -> tf.Tensor:
    """Returns bool (batch, frames, dim), True where a mask lies."""
    batch, frames, dim = tf.unstack(shape)
    whole = tf.fill((batch,), float(bands))
    widths = tf.fill((batch,), float(min(settings.freq_mask_bins, bands)))
    in_frequency = _intervals(settings.freq_masks, widths, whole, dim, frequency_seed)
    length = tf.cast(lengths, tf.float32)
    # A third of the frames at most: a mask must not hide a short utterance.
    widths = tf.minimum(float(settings.time_mask_frames), length / 3.0 + 1.0)
    in_time = _intervals(settings.time_masks, widths, length, frames, time_seed)
    return in_frequency[:, None] | in_time[..., None]


def _intervals(
    count: int, widths: tf.Tensor, ends: tf.Tensor, size: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Returns bool (batch, size), True in `count` intervals of random width within 0..ends."""
    positions = tf.range(tf.cast(size, tf.float32))[None]
    covered = tf.fill((tf.shape(ends)[0], size), False)
    for number in range(count):
        draws = tf.random.stateless_uniform((2, tf.shape(ends)[0]), seed + number)
        width = draws[0] * widths
        start = draws[1] * (ends - width)
        inside = (positions >= start[:, None]) & (positions < (start + width)[:, None])
        covered |= inside
    return covered
