"""The layer that applies a training fold's statistics inside the model, so that both travel."""

import keras
import numpy as np
from keras import ops

from ser_keras.errors import SchemaError


@keras.saving.register_keras_serializable("ser_keras")
class FeatureNormalizer(keras.layers.Layer):
    """Scales each feature bin: (x - offset) * scale.

    Starts as the identity; `set_affine` gives it what `FeatureStatistics.affine` fitted. Both
    vectors are weights that no training step changes.

    Args:
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames) or None, False = padding, which becomes 0 whatever it held.

    Returns:
        (batch, frames, dim), without a mask attached: what follows is told its own.

    Example:
        >>> layer = FeatureNormalizer()
        >>> layer.build((None, None, 2))
        >>> layer.set_affine([1.0, 2.0], [10.0, 0.5])
        >>> ops.convert_to_numpy(layer(np.array([[[2.0, 4.0]]]))).tolist()
        [[[10.0, 1.0]]]

    Departures: always computed in float32, for -100 dB in bfloat16 is only good to half a dB; the
        result is then of the layer's compute type.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        dim = input_shape[-1]
        options = {"shape": (dim,), "dtype": "float32", "trainable": False, "autocast": False}
        self.offset = self.add_weight(name="offset", initializer="zeros", **options)
        self.scale = self.add_weight(name="scale", initializer="ones", **options)

    def call(self, inputs, mask=None):
        scaled = (ops.cast(inputs, "float32") - self.offset) * self.scale
        if mask is not None:
            scaled = ops.where(ops.cast(mask, "bool")[..., None], scaled, 0.0)
        return ops.cast(scaled, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask=None):
        """Returns None: the layers that follow get their mask as an argument."""
        return None

    def compute_output_shape(self, input_shape):
        return input_shape

    def set_affine(self, offset, scale):
        """Sets both vectors, (dim,) each.

        Raises:
            SchemaError: the layer has another number of bins, or a value is not finite.
        """
        for name, weight, values in (("offset", self.offset, offset), ("scale", self.scale, scale)):
            array = np.asarray(values, np.float32)
            if array.shape != weight.shape or not np.isfinite(array).all():
                raise SchemaError(
                    f"layer {self.name}: found {name} of shape {array.shape} with "
                    f"{np.count_nonzero(~np.isfinite(array))} values that are not finite, expected "
                    f"{weight.shape[0]} numbers. Fit the statistics on the features that the model "
                    "was built for."
                )
            weight.assign(array)
