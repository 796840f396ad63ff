"""AlexNet and VGG-16 on segments of one length: the baselines of Zhang et al. 2018, Table I.

What the paper fixes, and where; the rest is a `Departures:` line of the builders:

| constant | value | source |
|---|---|---|
| input | 40 ms Hamming, 10 ms hop, DFT 800, lowest 200 bins | III-A |
| segments | utterances split, or padded with zeros, to one length | I, III-C |
| network | AlexNet or VGG-16 with as many outputs as classes | III-C |
| decision | mean posterior of an utterance's segments, made outside of the model | III-C |

Neither model has an attention, nor an output of that name: a dense layer over all positions reads
every frame with weights of its own, and a uniform map would claim something it does not do.

ImageNet's weights. `alexnet_fixed` has the convolutions of `alexnet_fcn` under the same names, so
that `alexnet_weights.load_backbone` fits both. `vgg16_fixed` has those of
`keras.applications.VGG16` under Keras's names; `vgg_weights.load_vgg` reads that network's file.
"""

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers import FitFrames, SpectrogramImage
from ser_keras.models.alexnet_fcn import (
    INPUT_SCALINGS,
    MINIMUM_FRAMES,
    NORMALIZATIONS,
    PLANS,
    convolve,
    pool,
    scaled,
)

FRAMES = 300  # 3 s at a 10 ms hop
DENSE_UNITS = 4096
VGG_MINIMUM = 32  # five poolings of 2


def build_alexnet_fixed(
    num_classes: int,
    dim: int = 200,
    *,
    frames: int = FRAMES,
    plan: str = "bvlc",
    normalization: str = "lrn",
    input_scaling: str = "unit_imagenet",
    dense_units: int = DENSE_UNITS,
    dropout: float = 0.5,
    width: float = 1.0,
    name: str = "alexnet_fixed",
) -> keras.Model:
    """Returns AlexNet for segments of `frames` frames, with random weights.

    Implements Zhang et al. 2018, Sec. III-C, Table I, "AlexNet"; Krizhevsky et al. 2012, Sec. 3.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Frequency bins of the spectrogram, at least 70.
        frames: int. Length of a segment, at least 70.
        plan: str. Sizes of the convolutions: "bvlc" or "torchvision", see `build_alexnet_fcn`.
        normalization: str. "lrn" (plan "bvlc" only), "batch" or "none", see `build_alexnet_fcn`.
        input_scaling: str. "unit_imagenet" or "standard", see `build_alexnet_fcn`.
        dense_units: int. Units of each of the two hidden dense layers.
        dropout: float. Share dropped after each of them.
        width: float. Factor on the number of filters, rounded to multiples of 8.
        name: str.

    Call arguments:
        features: float (batch, any number of frames, dim).
        mask: bool (batch, any number of frames), True for real frames, which come first.

    Returns:
        keras.Model with output "logits", float32 (batch, num_classes).

    Raises:
        ConfigError: an option has no meaning, or a size is too small for the convolutions.

    Example:
        >>> model = build_alexnet_fixed(4, frames=100, dense_units=8, width=0.1)
        >>> model.get_layer("flatten").output.shape, model.output["logits"].shape
        ((None, 240), (None, 4))

    Departures: 3 s, which the paper takes from a reference it does not restate. Shorter segments
        are padded with black, which counts as part of the image; of longer ones the first `frames`
        count. The spectrogram is not resized to ImageNet's 227 x 227, so only the convolutions can
        start from ImageNet and the dense layers are always random.
    """
    _check_options(
        "alexnet_fixed",
        known={
            "plan": (plan, PLANS),
            "normalization": (normalization, NORMALIZATIONS),
            "input_scaling": (input_scaling, INPUT_SCALINGS),
        },
        sizes={"frames": frames, "dim": dim},
        minimum=MINIMUM_FRAMES,
    )
    convolutions = scaled(PLANS[plan], width)

    # === Functional Model ===
    inputs, x, mask = _fixed_image(dim, frames, input_scaling)
    for number, convolution in enumerate(convolutions, start=1):
        lrn = normalization == "lrn" and plan == "bvlc" and number <= 2
        style = "lrn" if lrn else "batch" if normalization == "batch" else "none"
        x, mask = convolve(x, mask, convolution, number, style)
        if convolution.pool:
            x, mask = pool(x, mask, number)
    logits = _dense_layers(x, num_classes, dense_units, dropout)
    return keras.Model(inputs, {"logits": logits}, name=name)


def build_vgg16_fixed(
    num_classes: int,
    dim: int = 200,
    *,
    frames: int = FRAMES,
    input_scaling: str = "unit_imagenet",
    dense_units: int = DENSE_UNITS,
    dropout: float = 0.5,
    name: str = "vgg16_fixed",
) -> keras.Model:
    """Returns VGG-16 for segments of `frames` frames, with random weights.

    Implements Zhang et al. 2018, Sec. III-C, Table I, "VGGNet-16"; Simonyan and Zisserman 2015,
    Table 1, column D, its convolutions as `keras.applications` builds them.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Frequency bins of the spectrogram, at least 32.
        frames: int. Length of a segment, at least 32.
        input_scaling: str. "unit_imagenet" or "standard", see `build_alexnet_fcn`.
        dense_units: int. Units of each of the two hidden dense layers.
        dropout: float. Share dropped after each of them.
        name: str.

    Call arguments:
        features: float (batch, any number of frames, dim).
        mask: bool (batch, any number of frames), True for real frames, which come first.

    Returns:
        keras.Model with output "logits", float32 (batch, num_classes).

    Raises:
        ConfigError: an option has no meaning, or a size is too small for the poolings.

    Example:
        >>> model = build_vgg16_fixed(4, dim=32, frames=64, dense_units=8)
        >>> model.get_layer("flatten").output.shape, model.output["logits"].shape
        ((None, 1024), (None, 4))

    Departures: those of `build_alexnet_fixed`. The convolutions start from He's normal
        distribution, as AlexNet's here, and not from Keras's Glorot uniform: thirteen layers deep
        that one needs several times the steps to learn eight segments by heart.
    """
    _check_options(
        "vgg16_fixed",
        known={"input_scaling": (input_scaling, INPUT_SCALINGS)},
        sizes={"frames": frames, "dim": dim},
        minimum=VGG_MINIMUM,
    )

    # === Functional Model ===
    inputs, x, _ = _fixed_image(dim, frames, input_scaling)
    # With an input tensor the layers join this model's graph instead of nesting a model in it.
    network = keras.applications.VGG16(include_top=False, weights=None, input_tensor=x)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape))
    logits = _dense_layers(network.output, num_classes, dense_units, dropout)
    return keras.Model(inputs, {"logits": logits}, name=name)


# === Layers ===


def _fixed_image(
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


def _dense_layers(
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


def _check_options(place: str, *, known: dict, sizes: dict[str, int], minimum: int) -> None:
    for option, (value, names) in known.items():
        if value not in names:
            raise ConfigError(f"{place}: {unknown_name(option, str(value), names)}")
    for option, size in sizes.items():
        if not isinstance(size, int) or size < minimum:
            raise ConfigError(
                f"{place}: {option}={size!r}; the convolutions need at least {minimum}. Use the "
                "feature spec spectrogram200 and segments of 2 s or more."
            )
