"""One step of a network that predicts its next input and looks only where that failed."""

from functools import partial

import keras
from keras import ops

LOG_VARIANCE_LIMITS = (-6.0, 3.0)
STATES = (
    *("recognition_hidden", "recognition_cell", "generation_hidden", "generation_cell"),
    *("classification_hidden", "classification_cell", "prediction", "started"),
)
OUTPUTS = (
    *("attention", "prediction_mean", "prediction_log_variance"),
    *("latent_mean", "latent_log_variance", "classification"),
)


@keras.saving.register_keras_serializable("ser_keras")
class PredictiveCell(keras.layers.Layer):
    """One turn of the loop: select what to see, recognise, predict the next input, classify.

    Implements Baruah and Banerjee 2022, Sec. 2.3, Eq. (2)-(4) and Alg. 2: with the input
    X, its prediction Xhat of the step before and S = |X - Xhat|, W = 1 where S >= mean(S), else 0;
    x = W X + (1 - W) Xhat; an LSTM over x gives mean and log-variance of the latent z; one LSTM
    over z those of the next input, whose mean is the next Xhat, and one what is classified.

    A cell of `keras.layers.RNN`: all that lasts is in the states, so that a stream can go on from
    them. It draws no random numbers, since a backend that scans cannot: they come with the inputs.
    Masks need `zero_output_for_mask=True`; on JAX the RNN takes the first state for the output.

    Args:
        dim: int. Size of the input.
        recognition_units: int. Size of the LSTM over x.
        generation_units: int. Size of the LSTM that predicts.
        classification_units: int. Size of the LSTM whose output is classified.
        latent_dim: int. Size of z.
        attention: bool. False sees every input whole (the paper's ablation): W = 1.
        initial_log_variance: float. Of z, before anything is learnt.

    Call arguments:
        inputs: (batch, dim). In training `random_dim` more: the noise of z, standard normal, and
            what the outputs of the recognition and of the generation LSTM are multiplied with
            (dropout). Without them z is its mean and nothing is dropped.
        states: list of (batch, size), see `STATES` and `state_size`. All 0 is the start, at which
            nothing was predicted and W = 1.

    Returns:
        outputs: float32 (batch, output_size), which `parts` takes apart.
        states: list, those of the next step.

    Example:
        >>> cell = PredictiveCell(dim=3, recognition_units=8, latent_dim=2)
        >>> outputs, states = cell(ops.ones((1, 3)), cell.get_initial_state(1))
        >>> parts = cell.parts(outputs)
        >>> ops.convert_to_numpy(parts["attention"]).tolist(), parts["latent_mean"].shape[-1]
        ([[1.0, 1.0, 1.0]], 2)

    Departures: z is drawn in training alone and is its mean at inference, so that a recording has
        one answer; Alg. 2, line 3, draws it at every step and does not tell the two apart. Xhat is
        the mean, as in Alg. 2, line 6; Sec. 2.3 says that it is sampled. Always float32, for under
        bfloat16 an input near the threshold would be seen on one machine and not on another.
        Log-variances are clipped to -6..3 (the paper has logarithms of deviations and no limits).
        Nothing is learnt through the threshold, which has no slope, but
        much through Xhat where it replaces the input.
    """

    def __init__(
        self,
        dim,
        recognition_units=512,
        generation_units=256,
        classification_units=512,
        latent_dim=20,
        attention=True,
        initial_log_variance=0.0,
        **kwargs,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.dim = dim
        self.recognition_units = recognition_units
        self.generation_units = generation_units
        self.classification_units = classification_units
        self.latent_dim = latent_dim
        self.attention = attention
        self.initial_log_variance = initial_log_variance
        self.recognition = _lstm(recognition_units, "recognition")
        self.latent = keras.layers.Dense(
            2 * latent_dim,
            bias_initializer=partial(_gaussian_bias, log_variance=initial_log_variance),
            name="latent",
            dtype="float32",
        )
        self.generation = _lstm(generation_units, "generation")
        self.next_input = keras.layers.Dense(2 * dim, name="next_input", dtype="float32")
        self.classification = _lstm(classification_units, "classification")

    @property
    def state_size(self):
        """Sizes of the states, in the order of `STATES`."""
        units = (self.recognition_units, self.generation_units, self.classification_units)
        return [*(size for size in units for _ in range(2)), self.dim, 1]

    @property
    def part_sizes(self):
        """Sizes of the parts of the output, in the order of `OUTPUTS`."""
        return [*3 * [self.dim], *2 * [self.latent_dim], self.classification_units]

    @property
    def output_size(self):
        """Size of the output."""
        return sum(self.part_sizes)

    @property
    def random_dim(self):
        """Number of random values that an input brings along in training."""
        return self.latent_dim + self.recognition_units + self.generation_units

    def build(self, input_shape):
        self.recognition.build((None, self.dim))
        self.latent.build((None, self.recognition_units))
        self.generation.build((None, self.latent_dim))
        self.next_input.build((None, self.generation_units))
        self.classification.build((None, self.latent_dim))

    def call(self, inputs, states):
        *memories, prediction, started = states
        features, noise, keep_recognition, keep_generation = self._split(inputs)
        attention = self._select(features, prediction, started)
        sampled = attention * features + (1.0 - attention) * prediction

        hidden, recognition = self.recognition(sampled, memories[0:2])
        latent_mean, latent_log_variance = _gaussian(self.latent(hidden * keep_recognition))
        latent = latent_mean + ops.exp(0.5 * latent_log_variance) * noise

        hidden, generation = self.generation(latent, memories[2:4])
        mean, log_variance = _gaussian(self.next_input(hidden * keep_generation))
        classified, classification = self.classification(latent, memories[4:6])

        parts = [attention, mean, log_variance, latent_mean, latent_log_variance, classified]
        states = [*recognition, *generation, *classification, mean, ops.ones_like(started)]
        return ops.concatenate(parts, axis=-1), states

    def _split(self, inputs):
        if inputs.shape[-1] == self.dim:
            return inputs, 0.0, 1.0, 1.0
        ends = (self.dim, self.dim + self.latent_dim, inputs.shape[-1] - self.generation_units)
        return ops.split(inputs, ends, axis=-1)

    def _select(self, features, prediction, started):
        if not self.attention:
            return ops.ones_like(features)
        surprise = ops.abs(features - prediction)
        salient = surprise >= ops.mean(surprise, axis=-1, keepdims=True)
        return ops.cast(ops.logical_or(salient, started == 0.0), "float32")

    def parts(self, outputs):
        """Returns the parts of an output by name, see `OUTPUTS`; leading axes are kept."""
        ends = [sum(self.part_sizes[:count]) for count in range(1, len(OUTPUTS))]
        return dict(zip(OUTPUTS, ops.split(outputs, ends, axis=-1), strict=True))

    def get_initial_state(self, batch_size=None):
        """Returns the states of a start, zeros."""
        return [ops.zeros((batch_size, size), "float32") for size in self.state_size]

    def get_config(self):
        return {
            **super().get_config(),
            "dim": self.dim,
            "recognition_units": self.recognition_units,
            "generation_units": self.generation_units,
            "classification_units": self.classification_units,
            "latent_dim": self.latent_dim,
            "attention": self.attention,
            "initial_log_variance": self.initial_log_variance,
        }


def _lstm(units, name):
    return keras.layers.LSTMCell(units, name=name, dtype="float32")


def _gaussian_bias(shape, dtype=None, *, log_variance):
    """Returns the bias of what `_gaussian` takes apart: means of 0, and the log-variance."""
    half = shape[0] // 2
    return ops.concatenate([ops.zeros(half, dtype), ops.full((half,), log_variance, dtype)])


def _gaussian(values):
    """Returns (mean, log-variance), the two halves of the last axis."""
    mean, log_variance = ops.split(values, 2, axis=-1)
    return mean, ops.clip(log_variance, *LOG_VARIANCE_LIMITS)
