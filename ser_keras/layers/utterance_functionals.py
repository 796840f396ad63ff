"""Statistics of a whole utterance, of its cepstra and its prosody."""

import math

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer

PERCENTILES = (5, 25, 50, 75, 95)
# Mean, deviation, percentiles and two ranges between them.
STATISTICS = 2 + len(PERCENTILES) + 2
# Of fewer voiced frames no percentile is to be trusted.
FEWEST_VOICED = 6


@keras.saving.register_keras_serializable("ser_keras")
class UtteranceFunctionals(MaskedLayer):
    """Describes an utterance by statistics of its cepstra and prosodic values over time.

    A statistic is the mean, the deviation of the population, the percentiles 5, 25, 50, 75 and 95
    (linear between frames, as in NumPy), percentile 95 - 5 or percentile 75 - 25. The output holds,
    one after the other, with P prosodic values, C cepstra and V = C + P:

    - the statistics of the cepstra and the prosodic values (9 V), all means first;
    - those of their changes from frame to frame (9 V), zeros for a single frame;
    - those of the prosodic values over voiced frames (9 P), or over all frames where fewer than 6
      are voiced;
    - the slopes of the cepstra and prosodic values, per half of the utterance (V);
    - the voiced share, mean and deviation of the lengths of the voiced runs in frames, runs per
      frame, and the number of frames (5);
    - means, then deviations of the log-mel energies (2 x `num_mels`).

    Cepstra are the orthonormal DCT-II of the log-mel energies.

    Args:
        num_mels: int. Log-mel energies, which come first in a frame.
        num_prosody: int. Prosodic values, which follow them.
        num_cepstra: int. Cepstra, from the 0th.
        voiced: int. Which of the prosodic values is above 0 in voiced frames.

    Call arguments:
        inputs: (batch, frames, num_mels + num_prosody), as the spec computes them: not normalised.
        mask: bool (batch, frames), True for real frames, which come first; at least one each.

    Returns:
        float32 (batch, 19 V + 9 P + 5 + 2 num_mels), 821 of the spec `mel64-prosody`, under every
        precision policy: numbers of frames and loudness are too large for half precision.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, True, False]])
        >>> frames = [[0.0, 1.0], [4.0, 1.0], [8.0, 0.0], [99.0, 1.0]]
        >>> inputs = ops.convert_to_tensor([frames])
        >>> layer = UtteranceFunctionals(num_mels=1, num_prosody=1, num_cepstra=1, voiced=0)
        >>> functionals = layer(inputs, mask=mask)
        >>> tuple(functionals.shape), float(functionals[0, 0]), round(float(functionals[0, -7]), 4)
        ((1, 54), 4.0, 0.6667)
    """

    def __init__(self, num_mels=64, num_prosody=11, num_cepstra=20, voiced=1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.num_mels = num_mels
        self.num_prosody = num_prosody
        self.num_cepstra = num_cepstra
        self.voiced = voiced

    def call(self, inputs, mask):
        mask = ops.cast(mask, "bool")
        inputs = ops.where(mask[..., None], ops.cast(inputs, "float32"), 0.0)
        mels, prosody = inputs[..., : self.num_mels], inputs[..., self.num_mels :]
        values = ops.concatenate(
            [ops.matmul(mels, _cosines(self.num_mels, self.num_cepstra)), prosody], axis=-1
        )
        voiced = mask & (prosody[..., self.voiced] > 0)
        many = ops.sum(ops.cast(voiced, "int32"), axis=1, keepdims=True) >= FEWEST_VOICED
        parts = [
            _statistics(values, mask),
            _statistics(values[:, 1:] - values[:, :-1], mask[:, 1:]),
            _statistics(prosody, ops.where(many, voiced, mask)),
            _slopes(values, mask),
            _voicing(voiced, mask),
            *_mean_and_deviation(mels, mask),
        ]
        return ops.concatenate(parts, axis=-1)

    def compute_output_spec(self, inputs, mask):
        values = self.num_cepstra + self.num_prosody
        size = STATISTICS * (2 * values + self.num_prosody) + values + 5 + 2 * self.num_mels
        return keras.KerasTensor((inputs.shape[0], size), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_mels": self.num_mels,
            "num_prosody": self.num_prosody,
            "num_cepstra": self.num_cepstra,
            "voiced": self.voiced,
        }


def _cosines(num_mels, num_cepstra):
    """Returns the orthonormal DCT-II, float32 (num_mels, num_cepstra), first columns only."""
    columns = []
    for number in range(num_cepstra):
        scale = math.sqrt((2.0 if number else 1.0) / num_mels)
        angle = math.pi * number / num_mels
        columns.append([scale * math.cos(angle * (mel + 0.5)) for mel in range(num_mels)])
    return ops.transpose(ops.convert_to_tensor(columns, "float32"))


def _statistics(values, mask):
    """Returns (batch, 9 dim) of the frames that `mask` selects; zeros where there are none."""
    mean, deviation = _mean_and_deviation(values, mask)
    low, quarter, middle, three_quarters, high = _percentiles(values, mask)
    levels = [low, quarter, middle, three_quarters, high]
    return ops.concatenate(
        [mean, deviation, *levels, high - low, three_quarters - quarter], axis=-1
    )


def _mean_and_deviation(values, mask):
    real = ops.cast(mask, "float32")[..., None]
    count = ops.maximum(ops.sum(real, axis=1), 1.0)
    mean = ops.sum(values * real, axis=1) / count
    variance = ops.sum(ops.square(values - mean[:, None]) * real, axis=1) / count
    return mean, _root(variance)


def _root(variance):
    """Returns deviations; at 0, where a root has no slope, without a gradient."""
    positive = variance > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, variance, 1.0)), 0.0)


def _percentiles(values, mask):
    """Returns each of `PERCENTILES` (batch, dim); zeros where no frame is selected."""
    # One frame more, so that none at all is no special case for the sort.
    values = ops.pad(values, [[0, 0], [0, 1], [0, 0]])
    selected = ops.pad(mask, [[0, 0], [0, 1]])[..., None]
    # Along the last axis, where sorting needs no transposition of its own.
    values = ops.transpose(ops.where(selected, values, math.inf), (0, 2, 1))
    ordered = ops.sort(values, axis=-1)
    last = ops.sum(ops.cast(mask, "int32"), axis=1)[:, None, None] - 1
    # In hundredths of whole numbers, so that no position is rounded to the wrong frame.
    hundredths = ops.convert_to_tensor(PERCENTILES, "int32")[None, None] * ops.maximum(last, 0)
    below = hundredths // 100
    above = ops.minimum(below + 1, ops.maximum(last, 0))
    share = ops.cast(hundredths - 100 * below, "float32") / 100.0
    shape = (*ops.shape(ordered)[:2], len(PERCENTILES))
    start, end = (
        ops.take_along_axis(ordered, ops.broadcast_to(index, shape), axis=-1)
        for index in (below, above)
    )
    some = last >= 0
    start, end = ops.where(some, start, 0.0), ops.where(some, end, 0.0)
    quantiles = start + share * (end - start)
    return [quantiles[..., number] for number in range(len(PERCENTILES))]


def _slopes(values, mask):
    """Returns the slopes of the lines fitted to each value, over time from -1 to 1 (batch, dim)."""
    real = ops.cast(mask, "float32")
    last = ops.sum(real, axis=1, keepdims=True) - 1.0
    frames = ops.cast(ops.arange(ops.shape(values)[1]), "float32")[None]
    time = real * (2.0 * frames - last) / ops.maximum(last, 1.0)
    squares = ops.maximum(ops.sum(ops.square(time), axis=1, keepdims=True), 1e-6)
    return ops.sum(time[..., None] * values, axis=1) / squares


def _voicing(voiced, mask):
    """Returns the voiced share, the runs' mean length, deviation and rate, and the frames."""
    total = ops.shape(voiced)[1]
    frames = ops.arange(total)[None]
    beside = ops.pad(voiced, [[0, 0], [1, 1]])
    starts = ops.sort(ops.where(voiced & ops.logical_not(beside[:, :-2]), frames, total), axis=1)
    ends = ops.sort(ops.where(voiced & ops.logical_not(beside[:, 2:]), frames, total), axis=1)
    is_run = starts < total
    lengths = ops.cast(ends - starts + 1, "float32")[..., None]
    mean, deviation = _mean_and_deviation(lengths, is_run)
    count = ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
    share, runs = (
        ops.sum(ops.cast(x, "float32"), axis=1, keepdims=True) / ops.maximum(count, 1.0)
        for x in (voiced, is_run)
    )
    return ops.concatenate([share, mean, deviation, runs, count], axis=-1)
