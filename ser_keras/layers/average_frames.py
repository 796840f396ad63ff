"""Fewer frames: the mean of every few."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer


@keras.saving.register_keras_serializable("ser_keras")
class AverageFrames(MaskedLayer):
    """Averages every `size` consecutive frames, padding not counted.

    Args:
        size: int. Frames per average.

    Call arguments:
        inputs: (batch, frames, channels).
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        (batch, ceil(frames / size), channels), 0 in the padding.

    Example:
        >>> inputs = ops.reshape(ops.array([1.0, 3.0, 5.0, 99.0]), (1, 4, 1))
        >>> mask = ops.array([[True, True, True, False]])
        >>> averages = AverageFrames(2)(inputs, mask=mask)
        >>> ops.convert_to_numpy(averages).ravel().tolist()
        [2.0, 5.0]
    """

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs, mask):
        weights = ops.cast(mask, inputs.dtype)[..., None]
        sums = self._sums(ops.where(mask[..., None], inputs, 0))
        return sums / ops.maximum(self._sums(weights), 1)

    def _sums(self, values):
        columns = -(-ops.shape(values)[1] // self.size)
        padding = columns * self.size - ops.shape(values)[1]
        values = ops.pad(values, [(0, 0), (0, padding), (0, 0)])
        return ops.sum(ops.reshape(values, (-1, columns, self.size, values.shape[-1])), axis=2)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        batch, frames, channels = inputs_shape
        return batch, None if frames is None else -(-frames // self.size), channels

    def get_config(self):
        return {**super().get_config(), "size": self.size}
