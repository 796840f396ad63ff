"""Where and how values rise and fall over an utterance, and what runs and peaks they have.

Values are float32 (batch, frames, dim) and 0 behind the utterance; masks are bool (batch, frames),
True for the frames of an utterance, which come first.
"""

import math

from keras import ops

from ser_keras.layers.functionals.masked_statistics import (
    frame_count,
    masked_mean,
    mean_and_deviation,
)

# Positions of maximum and minimum, two thirds against the middle one, and three of the changes.
SHAPE_VALUES = 7
# A Hann window of 9 frames, whose first and last value are 0, of sum 1.
SYLLABLE_WINDOW = tuple(math.sin(math.pi * k / 8) ** 2 / 4 for k in range(1, 8))
AVERAGED_FRAMES = 5
# Smaller changes from frame to frame are rounding errors of values that stay the same.
SMALLEST_CHANGE = 1e-4


def voicing(voiced, mask):
    """Returns the voiced share, the runs' mean length, deviation and rate, and the frames.

    Args:
        voiced: bool (batch, frames).
        mask: bool (batch, frames).

    Returns:
        float32 (batch, 5); lengths in frames, the rate in runs per frame.
    """
    total = ops.shape(voiced)[1]
    frames = ops.arange(total)[None]
    beside = ops.pad(voiced, [[0, 0], [1, 1]])
    starts = ops.sort(ops.where(voiced & ops.logical_not(beside[:, :-2]), frames, total), axis=1)
    ends = ops.sort(ops.where(voiced & ops.logical_not(beside[:, 2:]), frames, total), axis=1)
    is_run = starts < total
    lengths = ops.cast(ends - starts + 1, "float32")[..., None]
    mean, deviation = mean_and_deviation(lengths, is_run)
    count = frame_count(mask)
    share, runs = (
        ops.sum(ops.cast(x, "float32"), axis=1, keepdims=True) / count for x in (voiced, is_run)
    )
    return ops.concatenate([share, mean, deviation, runs, count], axis=-1)


def peak_intervals(loudness, median_of, mask, hop_s):
    """Returns the peaks per second, and deviation and mean of the frames between two of them.

    Loudness, 0 beyond the ends, is smoothed by a Hann window of 9 frames; its peaks above the
    median of the utterance are about one to a syllable. The first and the last frame are none.

    Args:
        loudness: float32 (batch, frames).
        median_of: function from values (batch, frames, 1) to their medians (batch, 1).
        mask: bool (batch, frames).
        hop_s: float. Seconds from frame to frame.

    Returns:
        float32 (batch, 3), 0 where there are too few peaks.
    """
    padded = ops.pad(loudness, [[0, 0], [3, 3]])
    smooth = sum(
        weight * padded[:, number : number - 6 or None]
        for number, weight in enumerate(SYLLABLE_WINDOW)
    )
    beside = ops.pad(smooth, [[0, 0], [1, 1]])
    total = ops.shape(mask)[1]
    frames = ops.arange(total)[None]
    inside = (frames > 0) & ops.pad(mask[:, 1:], [[0, 0], [0, 1]])
    highest = (smooth > beside[:, :-2]) & (smooth >= beside[:, 2:])
    is_peak = inside & highest & (smooth > median_of(smooth[..., None]))
    positions = ops.sort(ops.where(is_peak, frames, total), axis=1)
    intervals = ops.cast(positions[:, 1:] - positions[:, :-1], "float32")[..., None]
    mean, deviation = mean_and_deviation(intervals, positions[:, 1:] < total)
    peaks = ops.sum(ops.cast(is_peak, "float32"), axis=1, keepdims=True)
    return ops.concatenate([peaks / (frame_count(mask) * hop_s), deviation, mean], axis=-1)


def shapes(values, mask):
    """Returns seven numbers for each value (batch, 7 dim), those of the first value first.

    They are the positions of the first maximum and of the first minimum, from 0 to 1, where values
    that differ by less than a rounding error count as equal; the mean of
    the first third of the utterance and that of the last, less that of the second (0 for fewer
    than 3 frames); and, of the averages over 5 frames, the share of changes that are rises, the
    mean rise, and the mean fall, which is negative.
    """
    numbers = [*_extremes(values, mask), *_thirds(values, mask), *_rises_and_falls(values, mask)]
    return ops.reshape(ops.stack(numbers, axis=-1), (-1, SHAPE_VALUES * values.shape[-1]))


def _extremes(values, mask):
    total = ops.shape(mask)[1]
    frames, real = ops.arange(total)[None, :, None], mask[..., None]
    highest = ops.max(ops.where(real, values, -math.inf), axis=1, keepdims=True)
    lowest = ops.min(ops.where(real, values, math.inf), axis=1, keepdims=True)
    # A plateau, such as pitch behind the last voiced frame, has its extreme at its first frame,
    # whatever the rounding.
    extremes = (values > highest - SMALLEST_CHANGE, values < lowest + SMALLEST_CHANGE)
    firsts = (ops.min(ops.where(real & extreme, frames, total), axis=1) for extreme in extremes)
    return [ops.cast(first, "float32") / frame_count(mask) for first in firsts]


def _thirds(values, mask):
    frames = ops.arange(ops.shape(mask)[1])[None]
    third = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True) // 3
    first, middle, last = (
        masked_mean(values, part)
        for part in (
            frames < third,
            (frames >= third) & (frames < 2 * third),
            (frames >= 2 * third) & mask,
        )
    )
    return [ops.where(third > 0, mean - middle, 0.0) for mean in (first, last)]


def _rises_and_falls(values, mask):
    real = ops.cast(mask, "float32")[..., None]
    averages = _sums_around(values) / ops.maximum(_sums_around(real), 1.0)
    changes = averages[:, 1:] - averages[:, :-1]
    real = mask[:, 1:][..., None]
    rising, falling = real & (changes > SMALLEST_CHANGE), real & (changes < -SMALLEST_CHANGE)
    numbers = [ops.sum(ops.cast(x, "float32"), axis=1) for x in (rising, falling)]
    rise, fall = (
        ops.sum(ops.where(x, changes, 0.0), axis=1) / ops.maximum(number, 1.0)
        for x, number in zip((rising, falling), numbers, strict=True)
    )
    return [numbers[0] / frame_count(mask[:, 1:]), rise, fall]


def _sums_around(values):
    """Returns the sums over 5 frames, of which the middle one is the frame itself."""
    side = AVERAGED_FRAMES // 2
    padded = ops.pad(values, [[0, 0], [side, side], [0, 0]])
    return sum(padded[:, number : number - 2 * side or None] for number in range(AVERAGED_FRAMES))
