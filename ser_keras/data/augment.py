"""Augmentation, for training utterances only.

SpecAugment (Park et al. 2019) comes from tensorflow-io; this is the only module that imports it.
Its masks write zeros, so features are centred on the training fold first and moved back after:
a mask then shows the average spectrum, not a silence of 0 dB. Stretch, warp, gain and noise use
stateless random numbers.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ser_keras.config import AugmentConfig
from ser_keras.errors import ConfigError
from ser_keras.features.frames import FrameSpec

# Vocal tracts to choose from: to move the bins of each utterance anew would take 5 ms.
WARPS = 21

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def stretch_time(features: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Returns the utterance at another tempo, by linear interpolation between frames.

    Args:
        features: (frames, bins).
        factor: scalar. New length over old length.

    Returns:
        (round(frames * factor), bins), at least one frame.
    """
    frames = tf.cast(tf.shape(features)[0], tf.float32)
    count = tf.maximum(1, tf.cast(tf.round(frames * factor), tf.int32))
    return _interpolate(features, tf.linspace(0.0, frames - 1.0, count))


def warp_matrices(spec: FrameSpec, factors: np.ndarray) -> np.ndarray:
    """Returns the matrices that warp the frequencies of a frame, float32 (factors, values, values).

    A frame times the matrix is the frame of a vocal tract of another length: at each frequency it
    shows what stood at `factor` times that frequency. On cepstra, too, this is linear (Pitz and Ney
    2005): they are taken back to the bins of the spectrum, moved there, and transformed again.

    Args:
        spec: what a frame is. Derivatives are warped like what they are derived from; values
            without a frequency stay.
        factors: (factors,).

    Raises:
        ConfigError: windows of several frames, which have no frequencies of their own.
    """
    spectrum = spec.spectral_basis()
    if spectrum is None:
        raise ConfigError(
            f"config: augment.warp with features of kind {spec.kind!r}, expected frames of a "
            "spectrum, log-mel energies or MFCC. Set augment.warp to 0."
        )
    frequencies, basis = spectrum
    warped = np.stack(
        [
            [np.interp(frequencies * factor, frequencies, column) for column in basis.T]
            for factor in factors
        ]
    )
    without_frequency = ~basis.any(axis=0)
    return (warped @ basis + np.diag(without_frequency)).astype(np.float32)


def _interpolate(rows: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    last = tf.shape(rows)[0] - 1
    positions = tf.clip_by_value(positions, 0.0, tf.cast(last, tf.float32))
    below = tf.cast(tf.floor(positions), tf.int32)
    share = (positions - tf.cast(below, tf.float32))[:, None]
    return (
        tf.gather(rows, below) * (1 - share) + tf.gather(rows, tf.minimum(below + 1, last)) * share
    )


def distort(settings: AugmentConfig, deviation: np.ndarray, spec: FrameSpec) -> Augment:
    """Returns the function (features, seed) -> features for stretch, warp, gain and noise.

    Args:
        settings: how much of each.
        deviation: (bins,). Deviation of each bin on the training fold.
        spec: what the features are.

    Raises:
        ConfigError: the features have no frequencies to warp.
    """
    scale = tf.constant(deviation, tf.float32)
    if settings.warp:
        factors = np.linspace(1 - settings.warp, 1 + settings.warp, WARPS)
        warps = tf.constant(warp_matrices(spec, factors))

    def apply(features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
        if settings.stretch:
            change = tf.random.stateless_uniform((), seeds[0], -settings.stretch, settings.stretch)
            features = stretch_time(features, 1.0 + change)
        if settings.warp:
            number = tf.random.stateless_uniform((), seeds[1], 0, WARPS, tf.int32)
            matrix = tf.gather(warps, number)
            derivatives = tf.reshape(features, (-1, matrix.shape[0]))
            features = tf.reshape(derivatives @ matrix, tf.shape(features))
        if settings.gain:
            level = tf.random.stateless_normal((), seeds[2], stddev=settings.gain)
            features += level * scale
        if settings.noise:
            features += scale * tf.random.stateless_normal(
                tf.shape(features), seeds[3], stddev=settings.noise
            )
        return features

    return apply


def spec_augment(settings: AugmentConfig, mean: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function features -> features that masks bands of time and frequency.

    Args:
        settings: number and largest width of the masks.
        mean: (bins,). Mean of each bin on the training fold; what a mask shows.

    Raises:
        ConfigError: masks are asked for and tensorflow-io is not installed or does not load.
    """
    try:
        import tensorflow_io as tfio
    except (ImportError, NotImplementedError, tf.errors.OpError) as error:
        raise ConfigError(
            f"SpecAugment needs tensorflow-io, which does not load here ({error}). Install the "
            "versions of constraints.txt, or set augment.freq_masks and augment.time_masks to 0."
        ) from error
    centre = tf.constant(mean, tf.float32)

    def apply(features: tf.Tensor) -> tf.Tensor:
        features = features - centre
        bins = min(settings.freq_mask_bins, len(mean))
        # A third of the frames at most: a mask must not hide a short utterance.
        frames = tf.minimum(settings.time_mask_frames, tf.shape(features)[0] // 3 + 1)
        for _ in range(settings.freq_masks):
            features = tfio.audio.freq_mask(features, bins)
        for _ in range(settings.time_masks):
            features = tfio.audio.time_mask(features, frames)
        return features + centre

    return apply


def mix_pairs(
    inputs: dict[str, tf.Tensor],
    targets: tf.Tensor,
    weights: tf.Tensor,
    share: tf.Tensor,
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """Returns a batch mixed with itself in reverse order (mixup, Zhang et al. 2018).

    Args:
        inputs: `features` (batch, frames, bins) and `mask` (batch, frames).
        targets: (batch, classes), one-hot.
        weights: (batch,).
        share: scalar in [0, 1]. Share of the first of each pair.
    """

    def mix(values: tf.Tensor) -> tf.Tensor:
        return share * values + (1 - share) * values[::-1]

    # Where one of the pair has ended, the other continues alone: no silence is mixed into speech.
    mask = inputs["mask"]
    both = (mask & mask[::-1])[..., None]
    own = tf.where(mask[..., None], inputs["features"], inputs["features"][::-1])
    features = tf.where(both, mix(inputs["features"]), own)
    return {"features": features, "mask": mask | mask[::-1]}, mix(targets), mix(weights)
