"""Statistics of a whole utterance, of its cepstra and its prosody."""

import math

import keras
from keras import ops

from ser_keras.layers.functionals.contours import SHAPE_VALUES, peak_intervals, shapes, voicing
from ser_keras.layers.functionals.masked_statistics import (
    STATISTICS,
    correlations,
    masked_mean,
    mean_and_deviation,
    percentiles,
    selected_or_all,
    skewness_and_kurtosis,
    slopes,
    statistics,
)
from ser_keras.layers.functionals.modulation import NUM_BANDS, modulation
from ser_keras.layers.masked_layer import MaskedLayer

# The prosodic values of a frame, in their order.
LOG_F0, VOICED, AUTOCORRELATION, HARMONICITY, LOG_ENERGY, LOUDNESS = range(6)
FLUX, CENTROID, SLOPE, LOW_HIGH, DELTA_F0 = range(6, 11)
NUM_PROSODY = 11

CHANGING = [LOG_F0, LOG_ENERGY, AUTOCORRELATION, HARMONICITY]
CHANGE_PERCENTILES = (50, 90)
OUTER = [LOG_F0, LOG_ENERGY, LOUDNESS, LOW_HIGH, CENTROID]
OUTER_PERCENTILES = (1, 10, 90, 99)
SHAPED = [LOG_F0, LOG_ENERGY, LOUDNESS]
CORRELATED = [LOG_F0, AUTOCORRELATION, LOG_ENERGY, CENTROID, SLOPE, LOW_HIGH]
CORRELATED_CEPSTRA = slice(1, 4)
MODULATED_CEPSTRA = 8

# Of fewer voiced frames, or changes between them, no statistic is to be trusted.
FEWEST_FRAMES = 6
FEWEST_CHANGES = 4


@keras.saving.register_keras_serializable("ser_keras")
class UtteranceFunctionals(MaskedLayer):
    """Describes an utterance by statistics of its cepstra and prosodic values over time.

    A statistic is the mean, the deviation of the population, the percentiles 5, 25, 50, 75 and 95
    (linear between frames, as in NumPy), percentile 95 - 5 or percentile 75 - 25. The output holds,
    one after the other, with P = 11 prosodic values, C cepstra and V = C + P:

    - the statistics of the cepstra and the prosodic values (9 V), all means first;
    - those of their changes from frame to frame (9 V), zeros for a single frame;
    - those of the prosodic values over voiced frames (9 P);
    - the slopes of the cepstra and prosodic values, per half of the utterance (V);
    - the voiced share, mean and deviation of the lengths of the voiced runs in frames, runs per
      frame, and the number of frames (5);
    - means, then deviations of the log-mel energies (2 x `num_mels`);
    - means, then deviations of the cepstra over voiced frames, means over the others (3 C);
    - the log energy of the prosodic values and the first 8 cepstra that changes at 0.5-2, 2-4, 4-8,
      8-16 and 16-32 Hz, all of the slowest band first, then the logs of the bands' shares (2 x 5
      (P + 8));
    - the deviations of the second differences of the cepstra and the prosodic values (V);
    - means of the sizes of the prosodic values' changes between two voiced frames (P), and their
      percentiles 50, then 90, of log F0, log energy, autocorrelation and harmonics-to-noise ratio
      (2 x 4);
    - peaks of smoothed loudness per second, about as many as syllables, deviation and mean of the
      frames between two (3);
    - the percentiles 1, then 10, 90 and 99, over voiced frames, of log F0, log energy, loudness,
      low - high and centroid (4 x 5);
    - of log F0, then of log energy, then of loudness: positions of maximum and minimum from 0 to 1,
      means of the first and of the last third less that of the second, and the share of rises, mean
      rise and mean fall of the average over 5 frames (3 x 7);
    - the skewness, then the kurtosis of the prosodic values over voiced frames (2 P), the skewness
      of the cepstra (C);
    - the correlations of log F0, autocorrelation, log energy, centroid, slope, low - high and the
      cepstra 1 to 3, by pairs (36).

    Cepstra are the orthonormal DCT-II of the log-mel energies. Statistics over voiced frames, or
    over the others, are those over all frames where fewer than 6 are such; changes between voiced
    frames are all changes where there are fewer than 4. All values are finite for all utterances,
    and 0 where there is nothing to be computed from.

    Args:
        num_mels: int. Log-mel energies, which come first in a frame.
        num_cepstra: int. Cepstra, from the 0th; at least 8.
        hop_s: float. Seconds from frame to frame.

    Call arguments:
        inputs: (batch, frames, num_mels + 11), as the spec computes them: not normalised.
        mask: bool (batch, frames), True for real frames, which come first; at least one each.

    Returns:
        float32 (batch, `size`), 1243 of the spec `mel64-prosody`, under every precision policy:
        numbers of frames and loudness are too large for half precision.

    Example:
        >>> layer = UtteranceFunctionals(num_mels=64, num_cepstra=20)
        >>> frames, mask = ops.ones((2, 30, 75)), ops.ones((2, 30), "bool")
        >>> functionals = layer(frames, mask=mask)
        >>> tuple(functionals.shape), layer.size, float(functionals[0, 20])
        ((2, 1243), 1243, 1.0)
    """

    def __init__(self, num_mels=64, num_cepstra=20, hop_s=0.01, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not MODULATED_CEPSTRA <= num_cepstra <= num_mels:
            raise ValueError(
                f"UtteranceFunctionals: found num_cepstra={num_cepstra}, expected "
                f"{MODULATED_CEPSTRA} to num_mels, which is {num_mels}."
            )
        self.num_mels = num_mels
        self.num_cepstra = num_cepstra
        self.hop_s = hop_s

    @property
    def size(self):
        """Number of functionals."""
        cepstra, prosody = self.num_cepstra, NUM_PROSODY
        values = cepstra + prosody
        correlated = len(CORRELATED) + 3
        return sum(
            (
                STATISTICS * (2 * values + prosody) + values,
                5 + 2 * self.num_mels + 3 * cepstra,
                2 * NUM_BANDS * (prosody + MODULATED_CEPSTRA),
                values + prosody + len(CHANGE_PERCENTILES) * len(CHANGING) + 3,
                len(OUTER_PERCENTILES) * len(OUTER) + SHAPE_VALUES * len(SHAPED),
                2 * prosody + cepstra + correlated * (correlated - 1) // 2,
            )
        )

    def call(self, inputs, mask):
        mask = ops.cast(mask, "bool")
        inputs = ops.where(mask[..., None], ops.cast(inputs, "float32"), 0.0)
        mels, prosody = inputs[..., : self.num_mels], inputs[..., self.num_mels :]
        cepstra = ops.matmul(mels, _cosines(self.num_mels, self.num_cepstra))
        values = ops.concatenate([cepstra, prosody], axis=-1)
        voiced = mask & (prosody[..., VOICED] > 0)
        trusted = selected_or_all(voiced, mask, FEWEST_FRAMES)
        unvoiced = selected_or_all(mask & ops.logical_not(voiced), mask, FEWEST_FRAMES)
        parts = [
            statistics(values, mask),
            statistics(values[:, 1:] - values[:, :-1], mask[:, 1:]),
            statistics(prosody, trusted),
            slopes(values, mask),
            voicing(voiced, mask),
            *mean_and_deviation(mels, mask),
            *mean_and_deviation(cepstra, trusted),
            masked_mean(cepstra, unvoiced),
            modulation(
                ops.concatenate([prosody, cepstra[..., :MODULATED_CEPSTRA]], axis=-1),
                mask,
                self.hop_s,
            ),
            _roughness(values, mask),
            *_changes(prosody, voiced, mask),
            peak_intervals(
                prosody[..., LOUDNESS], lambda x: percentiles(x, mask, [50])[0], mask, self.hop_s
            ),
            *percentiles(ops.take(prosody, OUTER, axis=-1), trusted, OUTER_PERCENTILES),
            shapes(ops.take(prosody, SHAPED, axis=-1), mask),
            *skewness_and_kurtosis(prosody, trusted),
            skewness_and_kurtosis(cepstra, mask)[0],
            correlations(
                ops.concatenate(
                    [ops.take(prosody, CORRELATED, axis=-1), cepstra[..., CORRELATED_CEPSTRA]],
                    axis=-1,
                ),
                mask,
            ),
        ]
        return ops.concatenate(parts, axis=-1)

    def compute_output_spec(self, inputs, mask):
        return keras.KerasTensor((inputs.shape[0], self.size), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_mels": self.num_mels,
            "num_cepstra": self.num_cepstra,
            "hop_s": self.hop_s,
        }


def _cosines(num_mels, num_cepstra):
    """Returns the orthonormal DCT-II, float32 (num_mels, num_cepstra), first columns only."""
    columns = []
    for number in range(num_cepstra):
        scale = math.sqrt((2.0 if number else 1.0) / num_mels)
        angle = math.pi * number / num_mels
        columns.append([scale * math.cos(angle * (mel + 0.5)) for mel in range(num_mels)])
    return ops.transpose(ops.convert_to_tensor(columns, "float32"))


def _roughness(values, mask):
    """Returns the deviations of the second differences (batch, dim)."""
    differences = values[:, 2:] - 2.0 * values[:, 1:-1] + values[:, :-2]
    return mean_and_deviation(differences, mask[:, 2:])[1]


def _changes(prosody, voiced, mask):
    """Returns the mean sizes of the changes between voiced frames, and percentiles of some."""
    sizes = ops.abs(prosody[:, 1:] - prosody[:, :-1])
    between = selected_or_all(voiced[:, 1:] & voiced[:, :-1], mask[:, 1:], FEWEST_CHANGES)
    changing = ops.take(sizes, CHANGING, axis=-1)
    return masked_mean(sizes, between), *percentiles(changing, between, CHANGE_PERCENTILES)
