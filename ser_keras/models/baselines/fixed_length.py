"""What the baselines on segments of one length share: their image and their dense layers."""

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.fit_frames import FitFrames
from ser_keras.layers.spectrogram_image import SpectrogramImage

FRAMES = 300  # 3 s at a 10 ms hop
DENSE_UNITS = 4096


def fixed_image(
    dim: int, frames: int, input_scaling: str
) -> tuple[dict[str, keras.KerasTensor], keras.KerasTensor, keras.KerasTensor]:
    """Returns the inputs, the image (batch, dim, frames, 3) and its mask, which is all True."""
    features = keras.Input((None, dim), name="features")
    mask = keras.Input((None,), dtype="bool", name="mask")
    x = FeatureNormalizer(name="normalizer")(features, mask=mask)
    x, real = FitFrames(frames, frames, name="fit_frames")(x, mask=mask)
    imagenet = input_scaling == "unit_imagenet"
    image = SpectrogramImage(channels=3, imagenet=imagenet, minimum_frames=frames, name="image")
    x, columns = image(x, mask=real)
    return {"features": features, "mask": mask}, x, columns


def dense_layers(
    x: keras.KerasTensor, num_classes: int, units: int, dropout: float
) -> keras.KerasTensor:
    """Adds the two hidden dense layers and the classifier; returns the logits."""
    x = keras.layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=name)(
            x
        )
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return keras.layers.Dense(num_classes, dtype="float32", name="classifier")(x)


def check_fixed_options(model: str, *, known: dict, sizes: dict[str, int], minimum: int) -> None:
    """Checks the options of the model called `model`.

    Args:
        model: str. Name of the model, for the error.
        known: mapping of option to (its value, the values that it may have).
        sizes: mapping of option to a length in frames or bins.
        minimum: int. Smallest of the sizes that leaves a cell after the last pooling.

    Raises:
        ConfigError: an unknown value, or a size below the minimum.
    """
    for option, (value, names) in known.items():
        if value not in names:
            raise ConfigError(f"{model}: {unknown_name(option, str(value), names)}")
    for option, size in sizes.items():
        if not isinstance(size, int) or size < minimum:
            raise ConfigError(
                f"{model}: {option}={size!r}; the convolutions need at least {minimum}. Use the "
                "feature spec spectrogram200 and segments of 2 s or more."
            )
