"""The spectrogram as an image: frequency is its height, time its width."""

import keras
from keras import ops

from ser_keras.layers.masked_layer import MaskedLayer

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable("ser_keras")
class SpectrogramImage(MaskedLayer):
    """Turns padded frames into images of at least a minimum width, padding black.

    Input of Zhang et al. 2018 (attention FCN), Sec. II and III-A: a convolutional network made for
    images reads the spectrogram of a whole utterance.

    Args:
        channels: int. Copies of the spectrogram along the channel axis, 1 or 3.
        imagenet: bool. Standardise each channel with the mean and deviation of ImageNet; inputs
            are then expected in [0, 1] and `channels` must be 3.
        minimum_frames: int. Narrower images are widened with zeros, and utterances shorter than
            this count as this long.

    Call arguments:
        inputs: float (batch, frames, bins).
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        image: (batch, bins, max(frames, minimum_frames), channels), zero where there is no frame.
        mask: bool (batch, max(frames, minimum_frames)).

    Example:
        >>> layer = SpectrogramImage(channels=3, imagenet=True, minimum_frames=70)
        >>> image, mask = layer(ops.ones((2, 50, 8)), mask=ops.ones((2, 50), dtype="bool"))
        >>> tuple(image.shape), tuple(mask.shape), bool(ops.all(mask))
        ((2, 8, 70, 3), (2, 70), True)

    Departures: padding is zero after standardisation, so that it equals the zeros with which a
        convolution pads; the paper does not say.
    """

    def __init__(self, channels=1, imagenet=False, minimum_frames=1, **kwargs):
        super().__init__(**kwargs)
        if imagenet and channels != len(IMAGENET_MEAN):
            raise ValueError(
                f"SpectrogramImage: ImageNet statistics are for {len(IMAGENET_MEAN)} channels. "
                f"Received: channels={channels}. Pass channels=3 or imagenet=False."
            )
        self.channels = channels
        self.imagenet = imagenet
        self.minimum_frames = minimum_frames

    def call(self, inputs, mask):
        batch, frames, bins = ops.shape(inputs)
        width = self._width(frames)
        extra = ops.zeros((batch, self.minimum_frames, bins), dtype=inputs.dtype)
        padded = ops.concatenate([inputs, extra], axis=1)[:, :width]
        length = ops.sum(ops.cast(mask, "int32"), axis=1)[:, None]
        time = ops.arange(width, dtype="int32")[None]
        image = ops.transpose(padded, (0, 2, 1))[..., None]
        if self.channels > 1:
            image = ops.repeat(image, self.channels, axis=-1)
        if self.imagenet:
            image = (image - ops.array(IMAGENET_MEAN, image.dtype)) / ops.array(
                IMAGENET_STD, image.dtype
            )
        image = ops.where((time < length)[:, None, :, None], image, ops.zeros((), image.dtype))
        return image, time < ops.maximum(length, self.minimum_frames)

    def _width(self, frames):
        # JAX needs a Python number here, and has one: only TensorFlow leaves the width open.
        if isinstance(frames, int):
            return max(frames, self.minimum_frames)
        return ops.maximum(frames, self.minimum_frames)

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        batch, frames, bins = inputs_shape
        width = None if frames is None else self._width(frames)
        return (batch, bins, width, self.channels), (batch, width)

    def compute_output_spec(self, inputs, mask):
        image, valid = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(image, self.compute_dtype), keras.KerasTensor(valid, "bool")

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "imagenet": self.imagenet,
            "minimum_frames": self.minimum_frames,
        }
