"""VGG-16 on segments of one length: a baseline of Zhang et al. 2018, Table I.

What the paper fixes, and where; the rest is a `Departures:` line of the builder:

| constant | value | source |
|---|---|---|
| input | 40 ms Hamming, 10 ms hop, DFT 800, lowest 200 bins | III-A |
| segments | utterances split, or padded with zeros, to one length | I, III-C |
| network | VGG-16 with as many outputs as classes | III-C |
| decision | mean posterior of an utterance's segments, made outside of the model | III-C |

There is no attention, as in `alexnet_fixed`. The convolutions are those of
`keras.applications.VGG16` under Keras's names, so `ser_keras.models.weights.vgg` reads that
network's file.
"""

import keras

from ser_keras.models.alexnet_fcn import INPUT_SCALINGS
from ser_keras.models.baselines.fixed_length import (
    DENSE_UNITS,
    FRAMES,
    check_fixed_options,
    dense_layers,
    fixed_image,
)

VGG_MINIMUM = 32  # five poolings of 2


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
    check_fixed_options(
        "vgg16_fixed",
        known={"input_scaling": (input_scaling, INPUT_SCALINGS)},
        sizes={"frames": frames, "dim": dim},
        minimum=VGG_MINIMUM,
    )

    # === Functional Model ===
    inputs, x, _ = fixed_image(dim, frames, input_scaling)
    # With an input tensor the layers join this model's graph instead of nesting a model in it.
    network = keras.applications.VGG16(include_top=False, weights=None, input_tensor=x)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape))
    logits = dense_layers(network.output, num_classes, dense_units, dropout)
    return keras.Model(inputs, {"logits": logits}, name=name)
