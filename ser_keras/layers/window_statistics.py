"""Windows of frames as their mean and deviation."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, root_of


@keras.saving.register_keras_serializable("ser_keras")
class WindowStatistics(MaskedLayer):
    """Describes windows of frames, each by the mean and the deviation of every value in it.

    The first window starts with the utterance, the next ones every `hop` frames, until one holds
    the last frame; that one may be shorter.

    Args:
        window: int. Frames of a window.
        hop: int. Frames between the starts of two windows, at most `window`.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        statistics: (batch, windows, 2 dim), means, then deviations of the population; float32,
            without meaning in the padding. Meant for values of about unit variance: of a deviation
            that is a thousandth of the mean no digit is right.
        mask: bool (batch, windows), True for real windows, which come first.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, True, True, False]])
        >>> inputs = ops.reshape(ops.convert_to_tensor([0.0, 2.0, 4.0, 4.0, 99.0]), (1, 5, 1))
        >>> statistics, windows = WindowStatistics(window=3, hop=2)(inputs, mask=mask)
        >>> ops.convert_to_numpy(ops.round(statistics[0, :2], 2)).tolist()
        [[2.0, 1.6299999952316284], [4.0, 0.0]]
        >>> ops.convert_to_numpy(windows).tolist()
        [[True, True, False]]
    """

    def __init__(self, window, hop, **kwargs):
        super().__init__(**kwargs)
        self.window = window
        self.hop = hop

    def call(self, inputs, mask):
        real = ops.cast(mask, "float32")[..., None]
        x = ops.where(mask[..., None], ops.cast(inputs, "float32"), 0.0)
        count = ops.maximum(self._sums(real), 1.0)
        mean = self._sums(x) / count
        variance = self._sums(ops.square(x)) / count - ops.square(mean)
        frames = ops.sum(ops.cast(mask, "int32"), axis=1)
        more = (ops.maximum(frames - self.window, 0) + self.hop - 1) // self.hop
        windows = ops.where(frames > 0, 1 + more, 0)
        number = ops.arange(ops.shape(mean)[1], dtype="int32")[None]
        return ops.concatenate([mean, root_of(variance)], axis=-1), number < windows[:, None]

    def _sums(self, values):
        """Returns the sums over all windows that start in the batch."""
        padded = ops.pad(values, [[0, 0], [0, self.window - 1], [0, 0]])
        return self.window * ops.average_pool(padded, self.window, self.hop, padding="valid")

    def compute_output_spec(self, inputs, mask):
        batch, frames, dim = inputs.shape
        windows = None if frames is None else (frames - 1) // self.hop + 1
        return (
            keras.KerasTensor((batch, windows, 2 * dim), "float32"),
            keras.KerasTensor((batch, windows), "bool"),
        )

    def get_config(self):
        return {**super().get_config(), "window": self.window, "hop": self.hop}
