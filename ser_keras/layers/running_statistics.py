"""Mean and deviation of all that was heard so far, at every step."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer, root_of


@keras.saving.register_keras_serializable("ser_keras")
class RunningStatistics(MaskedLayer):
    """Describes each step by mean and deviation over it and all real steps before it.

    Causal pooling: the last step has the statistics of the whole utterance, and a stream can go on
    from `step`'s state (Welford 1962), which loses no digits however long it lasts.

    Args:
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, frames, dim).
        mask: bool (batch, frames), False = padding.

    Returns:
        float32 (batch, frames, 2 dim): means, then deviations of the population.

    Example:
        >>> mask = ops.convert_to_tensor([[True, True, True]])
        >>> inputs = ops.reshape(ops.convert_to_tensor([1.0, 3.0, 2.0]), (1, 3, 1))
        >>> ops.convert_to_numpy(RunningStatistics()(inputs, mask=mask))[0, :2].tolist()
        [[1.0, 0.0010000000474974513], [2.0, 1.0]]
    """

    def call(self, inputs, mask):
        real = ops.cast(mask, "float32")[..., None]
        x = ops.where(mask[..., None], ops.cast(inputs, "float32"), 0.0)
        count = ops.maximum(ops.cumsum(real, axis=1), 1.0)
        mean = ops.cumsum(x, axis=1) / count
        variance = ops.cumsum(ops.square(x), axis=1) / count - ops.square(mean)
        return _described(mean, variance)

    @staticmethod
    def step(inputs, state):
        """Returns (statistics (batch, 2 dim), next state) of one more step.

        Args:
            inputs: (batch, dim).
            state: list of count (batch, 1), mean and sum of squared differences (batch, dim), zeros
                at the start.
        """
        count, mean, squares = state
        count = count + 1.0
        difference = inputs - mean
        mean = mean + difference / count
        squares = squares + difference * (inputs - mean)
        return _described(mean, squares / count), [count, mean, squares]

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (*inputs_shape[:-1], 2 * inputs_shape[-1])

    def compute_output_spec(self, inputs, mask):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "float32")


def _described(mean, variance):
    return ops.concatenate([mean, root_of(variance)], axis=-1)
