"""The number of frames a network wants, whatever the batch has."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer


@keras.saving.register_keras_serializable("ser_keras")
class FitFrames(MaskedLayer):
    """Appends frames of zeros up to a minimum and drops those after a maximum.

    Li et al. 2018, Sec. 2.1, and Zhang et al. 2018 (attention FCN), Sec. III-C, cut utterances into
    segments of one length; this layer makes what is shorter than a segment as long as the others.

    Args:
        minimum: int. Frames there are at least.
        maximum: int or None. Frames there are at most; None keeps all. With `maximum` equal to
            `minimum` the number of frames is part of the output's static shape.

    Call arguments:
        inputs: float (batch, frames, bins).
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        frames: (batch, new frames, bins), zero where there is no frame.
        mask: bool (batch, new frames); appended frames are padding.

    Example:
        >>> mask = ops.ones((2, 5), dtype="bool")
        >>> frames, real = FitFrames(minimum=8, maximum=8)(ops.ones((2, 5, 3)), mask=mask)
        >>> tuple(frames.shape), int(ops.sum(ops.cast(real[0], "int32")))
        ((2, 8, 3), 5)

    Departures: what is longer than `maximum` loses its end, silently: an error would depend on the
        values of the mask. Cutting into segments is the data's business.
    """

    def __init__(self, minimum=1, maximum=None, **kwargs):
        super().__init__(**kwargs)
        if minimum < 1 or (maximum is not None and maximum < minimum):
            raise ValueError(
                "FitFrames: `minimum` is positive and `maximum` not below it. "
                f"Received: minimum={minimum}, maximum={maximum}"
            )
        self.minimum = minimum
        self.maximum = maximum

    def call(self, inputs, mask):
        batch, frames, bins = ops.shape(inputs)
        width = self._width(frames)
        inputs = ops.where(mask[..., None], inputs, ops.zeros((), inputs.dtype))
        extra = ops.zeros((batch, self.minimum, bins), inputs.dtype)
        fitted = ops.concatenate([inputs, extra], axis=1)[:, :width]
        unreal = ops.zeros((batch, self.minimum), "bool")
        real = ops.concatenate([mask, unreal], axis=1)[:, :width]
        if self.minimum == self.maximum:
            # A slice does not tell TensorFlow its length; a dense layer behind needs to know.
            fitted = ops.reshape(fitted, (-1, width, inputs.shape[-1]))
            real = ops.reshape(real, (-1, width))
        return fitted, real

    def _width(self, frames):
        if self.minimum == self.maximum:
            return self.minimum
        # JAX needs a Python number here, and has one: only TensorFlow leaves the width open.
        if isinstance(frames, int):
            width = max(frames, self.minimum)
            return width if self.maximum is None else min(width, self.maximum)
        width = ops.maximum(frames, self.minimum)
        return width if self.maximum is None else ops.minimum(width, self.maximum)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        batch, frames, bins = inputs_shape
        known = frames is not None or self.minimum == self.maximum
        width = self._width(frames) if known else None
        return (batch, width, bins), (batch, width)

    def compute_output_spec(self, inputs, mask):
        frames, real = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(frames, self.compute_dtype), keras.KerasTensor(real, "bool")

    def get_config(self):
        return {**super().get_config(), "minimum": self.minimum, "maximum": self.maximum}
