"""How fast values change: the energy of their course over time in bands of frequency."""

import itertools
import math

from keras import ops

from ser_keras.layers.functionals.masked_statistics import frame_count, mean_and_centred

BANDS_HZ = (0.5, 2.0, 4.0, 8.0, 16.0, 32.0)
NUM_BANDS = len(BANDS_HZ) - 1
# Of the transform: the spectrum is sampled at multiples of the frame rate over 1024.
POINTS = 1024

# Logarithms stay finite, and energies that come from rounding have no weight.
ENERGY_FLOOR = 1e-4
SHARE_FLOORS = (1e-6, 1e-5)


def modulation(values, mask, hop_s):
    """Returns log energies in the bands of `BANDS_HZ`, and log shares of their sum.

    The values less their mean are weighted by a Hann window over the utterance; the energy in a
    band is the sum of its squared spectrum at multiples of 1 / (1024 hop_s) Hz, over the sum of
    the squared window. This is the spectrum of all frames however many there are: a sampled
    spectrum is that of the signal folded to 1024 frames.

    Args:
        values: float32 (batch, frames, dim).
        mask: bool (batch, frames), True for frames of the utterance, which come first.
        hop_s: float. Seconds from frame to frame.

    Returns:
        float32 (batch, 2 * 5 dim): the log energies, those of the slowest band first; then the
        shares in the same order. Bands above half of the frame rate have no energy.
    """
    count = frame_count(mask)
    frames = ops.cast(ops.arange(ops.shape(mask)[1]), "float32")[None]
    # Its zeros are half a frame beyond the ends, so that even one frame has a weight.
    window = ops.square(ops.sin(math.pi * (frames + 0.5) / count)) * ops.cast(mask, "float32")
    _, centred = mean_and_centred(values, mask)
    real, imaginary = ops.rfft(_folded(centred * window[..., None]), POINTS)
    squares = ops.square(real) + ops.square(imaginary)
    ends = [math.ceil(frequency * POINTS * hop_s) for frequency in BANDS_HZ]
    energies = ops.stack(
        [ops.sum(squares[..., a:b], axis=-1) for a, b in itertools.pairwise(ends)], axis=1
    )
    energies = energies / ops.sum(ops.square(window), axis=1)[:, None, None]
    part, whole = SHARE_FLOORS
    shares = (energies + part) / (ops.sum(energies, axis=1, keepdims=True) + whole)
    logs = ops.log(ops.stack([energies + ENERGY_FLOOR, shares], axis=1))
    return ops.reshape(logs, (-1, 2 * NUM_BANDS * values.shape[-1]))


def _folded(values):
    """Returns sums of the frames that are 1024 apart, (batch, dim, 1024)."""
    dim = values.shape[-1]
    pieces = (ops.shape(values)[1] + POINTS - 1) // POINTS
    padded = ops.pad(values, [[0, 0], [0, POINTS - 1], [0, 0]])[:, : pieces * POINTS]
    folded = ops.sum(ops.reshape(padded, (-1, pieces, POINTS, dim)), axis=1)
    return ops.transpose(folded, (0, 2, 1))
