"""The predictive cell over whole sequences, with the random numbers of training."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer
from ser_keras.layers.predictive_cell import PredictiveCell


@keras.saving.register_keras_serializable("ser_keras")
class PredictiveVRNN(MaskedLayer):
    """`PredictiveCell` over a sequence; samples its latent variable in training.

    Args:
        recognition_units, generation_units, classification_units, latent_dim, attention,
            initial_log_variance: Of `PredictiveCell`.
        recognition_dropout: float. Share of the recognition LSTM's output dropped, anew each step.
        generation_dropout: float. The same for the generation LSTM.
        seed: int or None. Of noise and dropout.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames), False = padding, which comes last.
        training: bool. Draws z from its distribution and drops; otherwise z is its mean.

    Returns:
        attention: float32 (batch, frames, dim). W, of 0 and 1.
        prediction_mean, prediction_log_variance: float32 (batch, frames, dim). At t, of the input
            at t + 1.
        latent_mean, latent_log_variance: float32 (batch, frames, latent_dim).
        classification: float32 (batch, frames, classification_units).
        All 0 in the padding.

    Example:
        >>> layer = PredictiveVRNN(recognition_units=8, latent_dim=2)
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> attention = layer(ops.ones((1, 3, 4)), mask=mask)[0]
        >>> ops.convert_to_numpy(ops.sum(attention, axis=-1))[0, ::2].tolist()
        [4.0, 0.0]

    Departures: as of `PredictiveCell`; dropout acts on what an LSTM hands on, not on its state, and
        the LSTM whose output is classified runs in the same loop, which saves a second one and
        leaves a stream one cell to carry on.
    """

    def __init__(
        self,
        recognition_units=512,
        generation_units=256,
        classification_units=512,
        latent_dim=20,
        attention=True,
        initial_log_variance=0.0,
        recognition_dropout=0.0,
        generation_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.sizes = {
            "recognition_units": recognition_units,
            "generation_units": generation_units,
            "classification_units": classification_units,
            "latent_dim": latent_dim,
            "attention": attention,
            "initial_log_variance": initial_log_variance,
        }
        self.recognition_dropout = recognition_dropout
        self.generation_dropout = generation_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def cell(self):
        """The `PredictiveCell`; it exists once the layer is built."""
        return self.recurrence.cell

    def build(self, inputs_shape, mask_shape=None):
        cell = PredictiveCell(dim=inputs_shape[-1], name="cell", **self.sizes)
        self.recurrence = keras.layers.RNN(
            cell, return_sequences=True, zero_output_for_mask=True, dtype="float32"
        )
        self.recurrence.build(inputs_shape)

    def call(self, inputs, mask, training=False):
        inputs = ops.where(mask[..., None], ops.cast(inputs, "float32"), 0.0)
        if training:
            inputs = ops.concatenate([inputs, *self._random(*ops.shape(inputs)[:2])], axis=-1)
        return tuple(self.cell.parts(self.recurrence(inputs, mask=mask)).values())

    def _random(self, batch, frames):
        noise = keras.random.normal((batch, frames, self.cell.latent_dim), seed=self.seed_generator)
        shares = (
            (self.cell.recognition_units, self.recognition_dropout),
            (self.cell.generation_units, self.generation_dropout),
        )
        ones = [(ops.ones((batch, frames, units)), dropout) for units, dropout in shares]
        return noise, *(
            keras.random.dropout(kept, dropout, seed=self.seed_generator) if dropout else kept
            for kept, dropout in ones
        )

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the layer's output shapes."""
        frames, cell = output_shape[0][1], self.cell
        lstms = (
            (cell.dim, cell.recognition_units),
            (cell.latent_dim, cell.generation_units),
            (cell.latent_dim, cell.classification_units),
        )
        step = sum(4 * units * (inputs + units) for inputs, units in lstms)
        step += 2 * cell.recognition_units * cell.latent_dim + 2 * cell.generation_units * cell.dim
        return frames * step

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        dim, latent = inputs_shape[-1], self.sizes["latent_dim"]
        sizes = (dim, dim, dim, latent, latent, self.sizes["classification_units"])
        return tuple((*inputs_shape[:-1], size) for size in sizes)

    def compute_output_spec(self, inputs, mask, training=False):
        shapes = self.compute_output_shape(inputs.shape)
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def get_config(self):
        return {
            **super().get_config(),
            **self.sizes,
            "recognition_dropout": self.recognition_dropout,
            "generation_dropout": self.generation_dropout,
            "seed": self.seed,
        }
