"""Normalisation by the statistics of one speaker's own, unlabelled recordings.

The statistics of a speaker are count, mean and mean of squares, in one row: (1 + 2 dim,). They
merge by weighted means, so that recordings can be added one after another. A count of 0 says that
nothing is known of the speaker.
"""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer

# Added to variances, which are 1 on the whole training part.
EPSILON = 1e-3
# Instead of the number of a speaker, where none is known: utterances of the corpus that the model
# is made for, and those of joint corpora.
UNKNOWN = -1
UNKNOWN_ELSEWHERE = -2


@keras.saving.register_keras_serializable("ser_keras")
class SpeakerNormalization(MaskedLayer):
    """Standardises each value with its speaker's mean and deviation, as far as they are known.

    The values come in standardised on the training part, mean 0 and variance 1. The speaker's
    statistics are shrunk towards those (maximum a posteriori, Gauvain and Lee 1994): with n frames
    of a speaker and a prior worth k frames, the speaker's own mean and variance weigh n / (n + k).
    With n = 0 the values stay as they are.

    Args:
        prior_count: float. k, in the unit of the count: frames, or utterances.
        limit: float or None. Results are clipped to -limit..limit.

    Call arguments:
        inputs: (batch, dim) or (batch, frames, dim).
        statistics: float32 (batch, 1 + 2 dim): count, mean and mean of squares of the values.
        mask: bool (batch, frames) or None, False = padding, which becomes 0.

    Returns:
        The shape of `inputs`.

    Example:
        >>> layer = SpeakerNormalization(prior_count=0.0)
        >>> statistics = ops.convert_to_tensor([[10.0, 3.0, 13.0]])  # mean 3, variance 4
        >>> round(float(layer(ops.convert_to_tensor([[5.0]]), statistics)[0, 0]), 2)
        1.0
    """

    def __init__(self, prior_count, limit=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.prior_count = prior_count
        self.limit = limit

    def call(self, inputs, statistics, mask=None):
        mean, variance = shrunk(statistics, self.prior_count)
        if inputs.ndim == 3:
            mean, variance = mean[:, None], variance[:, None]
        outputs = (ops.cast(inputs, "float32") - mean) * ops.rsqrt(variance + EPSILON)
        if self.limit is not None:
            outputs = ops.clip(outputs, -self.limit, self.limit)
        if mask is not None:
            outputs = ops.where(mask[..., None], outputs, 0.0)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, inputs_shape, statistics_shape=None, mask_shape=None):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "prior_count": self.prior_count, "limit": self.limit}


@keras.saving.register_keras_serializable("ser_keras")
class EmbeddingNormalization(keras.layers.Layer):
    """Batch normalisation over the utterances of one speaker instead of those of a batch.

    In training the utterances of a batch that have the same `speaker` are a group with a mean and a
    variance of its own, as in Ioffe and Szegedy 2015, Algorithm 1. Utterances of speaker -1 are one
    group together, the batch as batch normalisation takes it, and they alone move the averages.
    Those of speaker -2, from another corpus, are a group that moves nothing. At inference values
    are standardised by these averages, and then by the speaker's statistics as in
    `SpeakerNormalization`.

    Args:
        prior_count: float. What the averages weigh against a speaker's statistics, in utterances.
        momentum: float. Share of the averages kept at each training step.

    Call arguments:
        inputs: (batch, dim).
        statistics: float32 (batch, 1 + 2 dim): count, mean and mean of squares of `standardized`
            over utterances of the speaker. Not used in training.
        speaker: int (batch,). Used in training only.
        training: bool.

    Returns:
        normalized: (batch, dim), times a learnt gain, plus a learnt bias.
        standardized: float32 (batch, dim), by the averages alone.

    Example:
        >>> layer = EmbeddingNormalization()
        >>> speaker, unknown = ops.array([0, 0, 1, 1]), ops.zeros((4, 3))
        >>> inputs = ops.array([[1.0], [3.0], [10.0], [30.0]])
        >>> normalized, _ = layer(inputs, unknown, speaker, training=True)
        >>> [round(float(value), 1) for value in ops.convert_to_numpy(normalized)[:, 0]]
        [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, prior_count=2.0, momentum=0.9, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.prior_count = prior_count
        self.momentum = momentum

    def build(self, inputs_shape, *_):
        options = {"shape": (inputs_shape[-1],), "dtype": "float32", "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **options)
        self.beta = self.add_weight(name="beta", initializer="zeros", **options)
        options["trainable"] = False
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **options)
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer="ones", **options
        )

    def call(self, inputs, statistics, speaker, training=None):
        x = ops.cast(inputs, "float32")
        scale = ops.rsqrt(self.moving_variance + EPSILON)
        standardized = (x - self.moving_mean) * scale
        if training:
            mean, variance = _group_moments(x, speaker)
            self._move(x, speaker)
            normalized = (x - mean) * ops.rsqrt(variance + EPSILON)
        else:
            mean, variance = shrunk(statistics, self.prior_count)
            normalized = (standardized - mean) * ops.rsqrt(variance + EPSILON)
        return ops.cast(normalized * self.gamma + self.beta, self.compute_dtype), standardized

    def _move(self, x, speaker):
        """Moves the averages by the utterances of no speaker, if there are any."""
        weights = ops.cast(ops.equal(speaker, UNKNOWN), "float32")[:, None]
        count = ops.sum(weights)
        keep = ops.where(count > 0, self.momentum, 1.0)
        weights = weights / ops.maximum(count, 1.0)
        mean = ops.sum(weights * x, axis=0)
        variance = ops.sum(weights * ops.square(x - mean), axis=0)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * keep + ops.stop_gradient(batch) * (1.0 - keep))

    def compute_output_spec(self, inputs, statistics, speaker, training=None):
        return (
            keras.KerasTensor(inputs.shape, self.compute_dtype),
            keras.KerasTensor(inputs.shape, "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "prior_count": self.prior_count,
            "momentum": self.momentum,
        }


def shrunk(statistics, prior_count):
    """Returns a speaker's mean and variance, shrunk towards 0 and 1, (batch, dim) each.

    Args:
        statistics: float32 (batch, 1 + 2 dim).
        prior_count: float. The count at which the speaker's own weigh one half.
    """
    statistics = ops.cast(statistics, "float32")
    dim = (statistics.shape[-1] - 1) // 2
    count, mean, square = statistics[:, :1], statistics[:, 1 : 1 + dim], statistics[:, 1 + dim :]
    share = ops.where(count > 0, count / ops.maximum(count + prior_count, EPSILON), 0.0)
    prior_mean = share * mean
    # The second moment around the mean that is subtracted, not around the speaker's own.
    spread = square - 2.0 * prior_mean * mean + ops.square(prior_mean)
    return prior_mean, ops.maximum(share * spread + (1.0 - share), 0.0)


def _group_moments(x, speaker):
    """Returns mean and variance of each utterance's group, (batch, dim) each."""
    same = ops.cast(ops.equal(speaker[:, None], speaker[None]), "float32")
    shares = same / ops.sum(same, axis=1, keepdims=True)
    mean = ops.matmul(shares, x)
    # The variance around the group's mean: all members of a group have the same one.
    variance = ops.matmul(shares, ops.square(x - mean))
    return mean, variance
