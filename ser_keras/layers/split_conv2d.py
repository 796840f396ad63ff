"""Grouped convolution that also trains on CPU and exports without XLA."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("ser_keras")
class SplitConv2D(keras.layers.Conv2D):
    """A grouped `Conv2D` computed as one convolution per group.

    Krizhevsky et al. 2012, Sec. 3.5: AlexNet's second, fourth and fifth layers see half of the
    channels each. TensorFlow has no gradient for grouped convolution on CPU, and Keras's own way
    around that asks for XLA, which a served model must not do.

    Args:
        **kwargs: Of `keras.layers.Conv2D`, `groups` among them. The kernel keeps the shape of the
            grouped convolution, (height, width, input channels / groups, filters).

    Call arguments:
        inputs: (batch, height, frames, channels).

    Returns:
        (batch, new height, new frames, filters).

    Example:
        >>> layer = SplitConv2D(filters=6, kernel_size=3, groups=2)
        >>> tuple(layer(ops.ones((1, 5, 5, 4))).shape), tuple(layer.kernel.shape)
        ((1, 3, 3, 6), (3, 3, 2, 6))
    """

    def convolution_op(self, inputs, kernel):
        """Convolves each group of channels with its own filters and joins the results."""
        if self.groups == 1:
            return super().convolution_op(inputs, kernel)
        parts = [
            super(SplitConv2D, self).convolution_op(channels, filters)
            for channels, filters in zip(
                ops.split(inputs, self.groups, axis=-1),
                ops.split(kernel, self.groups, axis=-1),
                strict=True,
            )
        ]
        return ops.concatenate(parts, axis=-1)
