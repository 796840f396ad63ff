"""Statistics over the frames that a mask selects.

Values are float32 (batch, frames, dim), zero or anything finite where the mask is False; masks are
bool (batch, frames). Where no frame is selected, every statistic is 0.
"""

import math

from keras import ops

PERCENTILES = (5, 25, 50, 75, 95)
# Mean, deviation, percentiles and two ranges between them.
STATISTICS = 2 + len(PERCENTILES) + 2

# Is added to the deviations that values are divided by: constant ones are no reason for large
# skewness or correlations. Values change by far more, and those of all kinds by 0.01 or more.
MOMENT_FLOOR = 1e-3
CORRELATION_FLOOR = 1e-5
LARGEST_KURTOSIS = 20.0


def selected_or_all(selected, mask, fewest):
    """Returns the mask `selected` in utterances with `fewest` such frames, else `mask`."""
    many = ops.sum(ops.cast(selected, "int32"), axis=1, keepdims=True) >= fewest
    return ops.where(many, selected, mask)


def frame_count(mask):
    """Returns how many frames are selected, at least 1, float32 (batch, 1)."""
    return ops.maximum(ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True), 1.0)


def masked_mean(values, mask):
    """Returns the means (batch, dim)."""
    real = ops.cast(mask, "float32")[..., None]
    return ops.sum(values * real, axis=1) / frame_count(mask)


def mean_and_centred(values, mask):
    """Returns the means (batch, dim), and the values less their mean, 0 where not selected."""
    real = ops.cast(mask, "float32")[..., None]
    mean = masked_mean(values, mask)
    centred = (values - mean[:, None]) * real
    # The rounding error of a sum: without it, constant values are centred to nearly exact zeros.
    error = masked_mean(centred, mask)
    return mean + error, (centred - error[:, None]) * real


def mean_and_deviation(values, mask):
    """Returns the means and the deviations of the population, (batch, dim) each."""
    mean, centred = mean_and_centred(values, mask)
    return mean, _deviation(centred, mask)


def statistics(values, mask):
    """Returns mean, deviation, the `PERCENTILES` and the ranges 95 - 5, 75 - 25 (batch, 9 dim)."""
    mean, deviation = mean_and_deviation(values, mask)
    low, quarter, middle, three_quarters, high = percentiles(values, mask, PERCENTILES)
    levels = [low, quarter, middle, three_quarters, high]
    return ops.concatenate(
        [mean, deviation, *levels, high - low, three_quarters - quarter], axis=-1
    )


def percentiles(values, mask, levels):
    """Returns the percentiles `levels`, whole numbers, a list of tensors (batch, dim).

    They are linear between frames, as in NumPy.
    """
    # One frame more, so that none at all is no special case for the sort.
    values = ops.pad(values, [[0, 0], [0, 1], [0, 0]])
    selected = ops.pad(mask, [[0, 0], [0, 1]])[..., None]
    # Along the last axis, where sorting needs no transposition of its own.
    values = ops.transpose(ops.where(selected, values, math.inf), (0, 2, 1))
    ordered = ops.sort(values, axis=-1)
    last = ops.sum(ops.cast(mask, "int32"), axis=1)[:, None, None] - 1
    # In hundredths of whole numbers, so that no position is rounded to the wrong frame.
    hundredths = ops.convert_to_tensor(levels, "int32")[None, None] * ops.maximum(last, 0)
    below = hundredths // 100
    above = ops.minimum(below + 1, ops.maximum(last, 0))
    share = ops.cast(hundredths - 100 * below, "float32") / 100.0
    shape = (*ops.shape(ordered)[:2], len(levels))
    start, end = (
        ops.take_along_axis(ordered, ops.broadcast_to(index, shape), axis=-1)
        for index in (below, above)
    )
    some = last >= 0
    start, end = ops.where(some, start, 0.0), ops.where(some, end, 0.0)
    quantiles = start + share * (end - start)
    return [quantiles[..., number] for number in range(len(levels))]


def slopes(values, mask):
    """Returns the slopes of the lines fitted to each value, over time from -1 to 1 (batch, dim)."""
    real = ops.cast(mask, "float32")
    last = ops.sum(real, axis=1, keepdims=True) - 1.0
    frames = ops.cast(ops.arange(ops.shape(values)[1]), "float32")[None]
    time = real * (2.0 * frames - last) / ops.maximum(last, 1.0)
    squares = ops.maximum(ops.sum(ops.square(time), axis=1, keepdims=True), 1e-6)
    return ops.sum(time[..., None] * values, axis=1) / squares


def skewness_and_kurtosis(values, mask):
    """Returns the means of the 3rd and of the 4th powers of standardised values, (batch, dim).

    The deviation counts as larger by 1e-3, and no kurtosis as larger than 20.
    """
    standard = _standardised(values, mask, MOMENT_FLOOR)
    skewness = masked_mean(standard**3, mask)
    return skewness, ops.minimum(masked_mean(standard**4, mask), LARGEST_KURTOSIS)


def correlations(values, mask):
    """Returns Pearson's correlations of all pairs (batch, dim (dim - 1) / 2); 0 with constants.

    The pairs are those of the first value with the second, the third and so on, then those of the
    second, as the upper triangle of the matrix has them.
    """
    dim = values.shape[-1]
    standard = _standardised(values, mask, CORRELATION_FLOOR)
    matrix = ops.matmul(ops.transpose(standard, (0, 2, 1)), standard)
    pairs = [dim * row + column for row in range(dim) for column in range(row + 1, dim)]
    return ops.take(ops.reshape(matrix, (-1, dim * dim)), pairs, axis=-1) / frame_count(mask)


def _standardised(values, mask, floor):
    _, centred = mean_and_centred(values, mask)
    return centred / (_deviation(centred, mask)[:, None] + floor)


def _deviation(centred, mask):
    """Returns root mean squares; at 0, where a root has no slope, without a gradient."""
    variance = ops.sum(ops.square(centred), axis=1) / frame_count(mask)
    positive = variance > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, variance, 1.0)), 0.0)
