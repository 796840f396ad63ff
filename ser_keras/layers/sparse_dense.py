"""The encoder of a sparse, denoising autoencoder, frame by frame."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer


@keras.saving.register_keras_serializable("ser_keras")
class SparseDense(MaskedLayer):
    """Encodes every frame by a sigmoid layer, from an input corrupted in training.

    Implements Sun and Wu 2019 (sparse autoencoder), Sec. II-A and III-B, the encoder:
    h_t = sigmoid(W (x_t + n_t) + b). What makes it sparse is a term of the objective, see
    `ser_keras.models.sparse_autoencoder`; a sigmoid bounds each activation, so that its mean reads
    as the share of frames that a unit answers to.

    Args:
        units: int. Size of the code; the paper's is larger than the input.
        noise: float. Standard deviation of the Gaussian noise n_t, in units of the input. Only in
            training.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames), False = padding.
        training: bool. True adds the noise.

    Returns:
        (batch, frames, units) in (0, 1), and 0 in the padding.

    Raises:
        ValueError: `noise` is negative.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, False]])
        >>> activations = SparseDense(units=8)(ops.zeros((1, 3, 4)), mask=mask)
        >>> ops.convert_to_numpy(activations)[0, :, 0].tolist()
        [0.5, 0.5, 0.0]

    Departures: the paper names no activation. Its Sec. II-A has "a stochastic corruption process"
        for an earlier model, without kind or size, and Sec. III does not take it up; Gaussian noise
        is the one that suits inputs of unit variance, and 0 leaves it out.
    """

    def __init__(self, units=256, noise=0.0, **kwargs):
        super().__init__(**kwargs)
        if noise < 0:
            raise ValueError(
                f"SparseDense: `noise` is a standard deviation, 0 or more. Received: noise={noise}"
            )
        self.units = units
        self.noise = noise
        self.encoder = keras.layers.Dense(
            units, activation="sigmoid", name="encoder", dtype=self.dtype_policy
        )
        if noise:
            self.seed_generator = keras.random.SeedGenerator()

    def build(self, inputs_shape, mask_shape=None):
        self.encoder.build(inputs_shape)

    def call(self, inputs, mask, training=None):
        if training and self.noise:
            inputs = inputs + self._random(*ops.shape(inputs))
        activations = self.encoder(inputs)
        return ops.where(mask[..., None], activations, ops.zeros((), activations.dtype))

    def _random(self, *shape):
        return keras.random.normal(
            shape, stddev=self.noise, dtype=self.compute_dtype, seed=self.seed_generator
        )

    def multiply_accumulates(self, output_shape):
        """Returns the multiplications of one utterance, from the shape of the output."""
        _, frames, units = output_shape
        return frames * self.encoder.kernel.shape[0] * units

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (*inputs_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "noise": self.noise}
