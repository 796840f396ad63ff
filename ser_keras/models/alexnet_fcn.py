"""Attention based fully convolutional network on AlexNet (Zhang et al. 2018).

What the paper fixes, and where; the rest is a `Departures:` line of `build_alexnet_fcn`:

| constant | value | source |
|---|---|---|
| input | 40 ms Hamming, 10 ms hop, DFT 800, lowest 200 bins | III-A |
| encoder | AlexNet without its dense layers, ReLU after each convolution | II-A, Fig. 3 |
| local response normalisation | after the first two convolutions | II-A |
| attention | softmax over all L = F' x T' cells | II-B, Eq. 2-4 |
| lambda | 0.3 | II-B |
| initialisation | ImageNet, see `ser_keras.models.weights.alexnet` | III-C |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.local_response_norm import LocalResponseNormalization
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.spectrogram_attention import SpectrogramAttention
from ser_keras.layers.spectrogram_image import SpectrogramImage
from ser_keras.layers.split_conv2d import SplitConv2D
from ser_keras.layers.time_mask import StridedMask, TimeMask
from ser_keras.models.speaker_head import speaker_head

MINIMUM_FRAMES = 70  # 0.7 s at a 10 ms hop; narrower images leave no cell after the last pooling
POOL_WINDOW = 3
POOL_STRIDE = 2
NORMALIZATIONS = ("lrn", "batch", "none")
INPUT_SCALINGS = ("unit_imagenet", "standard")
INPUT_CHANNELS = (3, 1)
POOLINGS = ("mean", "mean_std")


@dataclass(frozen=True)
class ConvPlan:
    """One convolution of AlexNet: its published size, and whether a max-pooling follows."""

    filters: int
    window: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    pool: bool = False


PLANS = {
    # Krizhevsky et al. 2012 as published by BVLC with Caffe.
    "bvlc": (
        ConvPlan(96, window=11, stride=4, pool=True),
        ConvPlan(256, window=5, padding=2, groups=2, pool=True),
        ConvPlan(384, window=3, padding=1),
        ConvPlan(384, window=3, padding=1, groups=2),
        ConvPlan(256, window=3, padding=1, groups=2, pool=True),
    ),
    # Krizhevsky 2014 ("one weird trick") as published by torchvision: no LRN, no groups.
    "torchvision": (
        ConvPlan(64, window=11, stride=4, padding=2, pool=True),
        ConvPlan(192, window=5, padding=2, pool=True),
        ConvPlan(384, window=3, padding=1),
        ConvPlan(256, window=3, padding=1),
        ConvPlan(256, window=3, padding=1, pool=True),
    ),
}


def build_alexnet_fcn(
    num_classes: int,
    dim: int = 200,
    *,
    plan: str = "bvlc",
    normalization: str = "lrn",
    input_channels: int = 3,
    input_scaling: str = "unit_imagenet",
    attention_units: int = 256,
    attention_lambda: float = 0.3,
    dropout: float = 0.0,
    spatial_dropout: float = 0.0,
    width: float = 1.0,
    final_pool: bool = True,
    pooling: str = "mean",
    speaker: Mapping[str, int] | None = None,
    name: str = "alexnet_fcn",
) -> keras.Model:
    """Returns the functional model of Zhang et al. 2018, Sec. II, with random weights.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Frequency bins of the spectrogram.
        plan: str. Sizes of the encoder: "bvlc", with the normalisation that the paper names, or
            "torchvision".
        normalization: str. "lrn" after the first two ReLUs (the paper's; plan "bvlc" only),
            "batch" between each convolution and its ReLU, or "none".
        input_channels: int. Copies of the spectrogram, 3 as in images or 1.
        input_scaling: str. What the "normalizer" layer delivers: "unit_imagenet" takes [0, 1] and
            applies ImageNet's mean and deviation, "standard" takes z-scores as they are.
        attention_units: int. Rows of W in Eq. (2).
        attention_lambda: float. Lambda of Eq. (3).
        dropout: float. Share of the context vector dropped before the classifier.
        spatial_dropout: float. Share of whole channels dropped before conv3 and conv4.
        width: float. Factor on the number of filters, rounded to multiples of 8.
        final_pool: bool. Keep the max-pooling after conv5.
        pooling: str. "mean", weighted by the attention, or "mean_std" with the deviation behind it.
        speaker: mapping or None. Sizes of a `SpeakerHead`, which normalises frames and context by
            speaker; None leaves it out.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), of any number of frames.
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        keras.Model with outputs "logits", float32 (batch, num_classes), and "attention", float32
        (batch, F', T'), which sums to 1 (Fig. 4). With `speaker` there are further inputs, see
        `SpeakerHead`, and the output "embedding" (batch, values).

    Raises:
        ConfigError: an option has no meaning, or `dim` is too small for the encoder.

    Example:
        >>> model = build_alexnet_fcn(4, width=0.1)
        >>> model.output["logits"].shape, model.output["attention"].shape
        ((None, 4), (None, 5, None))

    Departures: cells are decibels; the paper says "raw spectrogram". Utterances under 0.7 s are
        widened to it, the paper names no minimum but its encoder needs one. `attention_units`,
        `final_pool`, dropout, and `normalization="batch"` for training from random weights, are
        ours. Each convolution pads the utterance, not the batch, so that batching changes no
        result.
    """
    _check_options(plan, normalization, input_channels, input_scaling, dim, pooling)
    convolutions = scaled(PLANS[plan], width)

    # === Functional Model ===
    features = keras.Input((None, dim), name="features")
    frames = keras.Input((None,), dtype="bool", name="mask")
    x = FeatureNormalizer(name="normalizer")(features, mask=frames)
    head = speaker_head(dim, speaker)
    x, mask = head.frames(x, frames)
    x, mask = SpectrogramImage(
        channels=input_channels,
        imagenet=input_scaling == "unit_imagenet",
        minimum_frames=MINIMUM_FRAMES,
        name="image",
    )(x, mask=mask)
    for number, convolution in enumerate(convolutions, start=1):
        if spatial_dropout and number in (3, 4):
            x = keras.layers.SpatialDropout2D(spatial_dropout, name=f"spatial_dropout{number}")(x)
        lrn = normalization == "lrn" and plan == "bvlc" and number <= 2
        style = "lrn" if lrn else "batch" if normalization == "batch" else "none"
        x, mask = convolve(x, mask, convolution, number, style)
        if convolution.pool and (final_pool or number < len(convolutions)):
            x, mask = pool(x, mask, number)
    attend = SpectrogramAttention(
        attention_units, attention_lambda, deviation=pooling == "mean_std", name="attention"
    )
    context, attention = attend(x, mask=mask)
    context, adapted = head.embedding(context)
    context = keras.layers.Dropout(dropout, name="dropout")(context)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(context)
    outputs = {"logits": logits, "attention": attention, **adapted}
    return keras.Model({"features": features, "mask": frames, **head.inputs}, outputs, name=name)


# === Layers ===


def convolve(
    x: keras.KerasTensor, mask: keras.KerasTensor, plan: ConvPlan, number: int, normalization: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Adds one convolution with its normalisation and ReLU; returns (map, mask of the map)."""
    name = f"conv{number}"
    same = plan.stride == 1 and 2 * plan.padding == plan.window - 1
    if plan.padding and number > 1:
        x = TimeMask(name=f"{name}_mask")(x, mask=mask)
    if plan.padding and not same:
        x = keras.layers.ZeroPadding2D(plan.padding, name=f"{name}_pad")(x)
    x = SplitConv2D(
        plan.filters,
        plan.window,
        strides=plan.stride,
        padding="same" if same else "valid",
        groups=plan.groups,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    if plan.stride > 1 or not same:
        mask = StridedMask(plan.window, plan.stride, plan.padding, name=f"{name}_columns")(mask)
    if normalization == "batch":
        x = MaskedBatchNormalization(name=f"{name}_batch_norm")(x, mask=mask)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    if normalization == "lrn":
        x = LocalResponseNormalization(name=f"{name}_lrn")(x)
    return x, mask


def pool(
    x: keras.KerasTensor, mask: keras.KerasTensor, number: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Adds one max-pooling; returns (map, mask of the map)."""
    x = keras.layers.MaxPooling2D(POOL_WINDOW, POOL_STRIDE, name=f"pool{number}")(x)
    return x, StridedMask(POOL_WINDOW, POOL_STRIDE, name=f"pool{number}_columns")(mask)


def scaled(convolutions: tuple[ConvPlan, ...], width: float) -> tuple[ConvPlan, ...]:
    """Returns the convolutions with `width` times the filters, in multiples of 8."""
    return tuple(
        ConvPlan(**{**vars(plan), "filters": max(8, 8 * round(plan.filters * width / 8))})
        for plan in convolutions
    )


def _check_options(
    plan: str,
    normalization: str,
    input_channels: int,
    input_scaling: str,
    dim: int,
    pooling: str = "mean",
) -> None:
    for option, value, known in (
        ("plan", plan, PLANS),
        ("normalization", normalization, NORMALIZATIONS),
        ("input_scaling", input_scaling, INPUT_SCALINGS),
        ("pooling", pooling, POOLINGS),
    ):
        if value not in known:
            raise ConfigError(f"alexnet_fcn: {unknown_name(option, str(value), known)}")
    if input_channels not in INPUT_CHANNELS:
        raise ConfigError(f"alexnet_fcn: input_channels={input_channels!r}; expected 3 or 1.")
    if input_scaling == "unit_imagenet" and input_channels != 3:
        raise ConfigError(
            f"alexnet_fcn: input_scaling='unit_imagenet' with input_channels={input_channels}; "
            "ImageNet's statistics are for 3. Pass input_channels=3 or input_scaling='standard'."
        )
    if dim < MINIMUM_FRAMES:
        raise ConfigError(
            f"alexnet_fcn: features of {dim} dimensions; the encoder needs at least "
            f"{MINIMUM_FRAMES} frequency bins. Use the feature spec spectrogram200."
        )
