"""One convolution and nothing else: the filter study of Li et al. 2018.

| constant | value | source |
|---|---|---|
| filters | 16 of one shape, then a dense layer (16:4) | 3.2 |
| heights | 2 to 100 bins at a width of 2 frames | 3.2, Fig. 2 top |
| widths | 2 to 80 frames at a height of 2 bins | 3.2, Fig. 2 bottom |
"""

import keras

from ser_keras.errors import ConfigError
from ser_keras.layers.masked_average_pooling import MaskedAveragePooling2D
from ser_keras.models.attention_cnn import (
    MINIMUM_FRAMES,
    convolution,
    is_count,
    normalized,
    spectrogram_input,
)


def build_filter_study(
    num_classes: int,
    dim: int = 400,
    *,
    height: int = 10,
    width: int = 2,
    filters: int = 16,
    input_scaling: str = "mu_law",
    minimum_frames: int = MINIMUM_FRAMES,
    name: str = "filter_study",
) -> keras.Model:
    """Returns Conv1 of the attention-pooling CNN alone, averaged and classified.

    Implements Li et al. 2018, Sec. 3.2.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Frequency bins of the spectrogram.
        height: int. Height of the filters in bins of frequency (10 Hz each at the paper's DFT).
        width: int. Width of the filters in frames (10 ms each).
        filters: int. Number of filters.
        input_scaling: str. As in `build_attention_cnn`.
        minimum_frames: int. As in `build_attention_cnn`.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), of any number of frames.
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        keras.Model with outputs "logits", float32 (batch, num_classes), and "attention", float32
        (batch, dim, frames): the same weight for every real cell, summing to 1.

    Raises:
        ConfigError: an option has no meaning.

    Example:
        >>> model = build_filter_study(4, height=2, width=8)
        >>> tuple(model.get_layer("conv1").kernel.shape), model.output["attention"].shape
        ((2, 8, 1, 16), (None, 400, None))

    Departures: those of `build_attention_cnn`.
    """
    for option, value in (("height", height), ("width", width), ("filters", filters)):
        if not is_count(value):
            raise ConfigError(f"filter_study: {option}={value!r}; expected 1 or more.")

    # === Functional Model ===
    inputs, x, mask = spectrogram_input(dim, input_scaling, minimum_frames, model="filter_study")
    x = convolution(x, filters, (height, width), "conv1")
    x = normalized(x, mask, "conv1")
    pooled, attention = MaskedAveragePooling2D(name="pooling")(x, mask=mask)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(pooled)
    return keras.Model(inputs, {"logits": logits, "attention": attention}, name=name)
