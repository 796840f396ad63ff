"""AlexNet on segments of one length: a baseline of Zhang et al. 2018, Table I.

What the paper fixes, and where; the rest is a `Departures:` line of the builder:

| constant | value | source |
|---|---|---|
| input | 40 ms Hamming, 10 ms hop, DFT 800, lowest 200 bins | III-A |
| segments | utterances split, or padded with zeros, to one length | I, III-C |
| network | AlexNet with as many outputs as classes | III-C |
| decision | mean posterior of an utterance's segments, made outside of the model | III-C |

There is no attention, nor an output of that name: a dense layer over all positions reads every
frame with weights of its own, and a uniform map would claim something it does not do.

The convolutions have the names that they have in `alexnet_fcn`, so the weights files that
`ser_keras.models.weights.alexnet` reads fit both models.
"""

import keras

from ser_keras.models.alexnet_fcn import (
    INPUT_SCALINGS,
    MINIMUM_FRAMES,
    NORMALIZATIONS,
    PLANS,
    convolve,
    pool,
    scaled,
)
from ser_keras.models.baselines.fixed_length import (
    DENSE_UNITS,
    FRAMES,
    check_fixed_options,
    dense_layers,
    fixed_image,
)


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
    check_fixed_options(
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
    inputs, x, mask = fixed_image(dim, frames, input_scaling)
    for number, convolution in enumerate(convolutions, start=1):
        lrn = normalization == "lrn" and plan == "bvlc" and number <= 2
        style = "lrn" if lrn else "batch" if normalization == "batch" else "none"
        x, mask = convolve(x, mask, convolution, number, style)
        if convolution.pool:
            x, mask = pool(x, mask, number)
    logits = dense_layers(x, num_classes, dense_units, dropout)
    return keras.Model(inputs, {"logits": logits}, name=name)
