"""Attention-pooling CNN on two-second spectrograms (Li et al. 2018).

What the paper fixes, and where; the rest is a `Departures:` line of `build_attention_cnn`:

| constant | value | source |
|---|---|---|
| input | 2 s, 40 ms Hamming, 10 ms hop, DFT 1600, 0 to 4 kHz: 400 x 200 | 2.1 |
| scaling | to [-1, 1], then mu-law with mu = 255 | 2.1, Eq. 1 |
| Conv1 | 8 filters of 10 x 2 beside 8 of 2 x 8 (frequency x time) | 3.2, 3.3 |
| Conv2 to Conv5 | 3 x 3, 32, 48, 64 and 80 filters | 2.2, Fig. 1 |
| after each convolution | batch normalisation, ReLU | 3.1 |
| pooling | maximum over 2 x 2 | 2.2, Fig. 1 |
| heads | global average; bilinear; top-down times bottom-up attention | 2.4, 3.3 |

Segments are cut, and their scores averaged, outside of the model (Sec. 2.1). The paper does not say
whether it averages before or after the softmax; here it is after.
"""

from collections.abc import Mapping

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.bilinear_pooling import BilinearPooling
from ser_keras.layers.bottom_up_attention import BottomUpAttention
from ser_keras.layers.fit_frames import FitFrames
from ser_keras.layers.frame_attention import AttentionPooling
from ser_keras.layers.masked_average_pooling import MaskedAveragePooling2D
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.mu_law import MuLaw
from ser_keras.layers.spectrogram_image import SpectrogramImage
from ser_keras.layers.time_mask import FrameMask, StridedMask, TimeMask
from ser_keras.models.speaker_head import NoSpeakerHead, SpeakerHead, speaker_head

MINIMUM_FRAMES = 200  # 2 s at a 10 ms hop; 197 whole frames fit
FILTERS = (16, 32, 48, 64, 80)
FREQUENCY_WINDOW = (10, 2)
TIME_WINDOW = (2, 8)
POOL_WINDOW = 2
TIME_KERNEL = 5
MU = 255.0
# Where the smallest value of a segment goes before the mu-law; None: no mu-law.
INPUT_SCALINGS = {"mu_law": -1.0, "mu_law_unit": 0.0, "standard": None}
HEADS = ("attention", "gap", "bilinear")
# The defaults of PyTorch, the paper's framework (Sec. 3.1).
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def build_attention_cnn(
    num_classes: int,
    dim: int = 400,
    *,
    head: str = "attention",
    filters: tuple[int, ...] = FILTERS,
    pool_after: tuple[int, ...] = (2, 3),
    input_scaling: str = "mu_law",
    dropout: float = 0.0,
    spatial_dropout: float = 0.0,
    minimum_frames: int = MINIMUM_FRAMES,
    width: float = 1.0,
    speaker: Mapping[str, int] | None = None,
    name: str = "attention_cnn",
) -> keras.Model:
    """Returns the functional model of Li et al. 2018, Sec. 2, with random weights.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Frequency bins of the spectrogram.
        head: str. A row of Table 1: "attention" (Eq. 10), "gap" (Eq. 3) or "bilinear" (Eq. 4).
        filters: tuple of int. Filters of each convolution; the first is two halves side by side.
        pool_after: tuple of int. Numbers of the convolutions that a 2 x 2 max-pooling follows.
        input_scaling: str. "mu_law" (the paper's) and "mu_law_unit" take magnitudes as they are and
            scale each segment to [-1, 1] or [0, 1] before the mu-law: the "normalizer" layer stays
            the identity. "standard" takes what that layer delivers, z-scores, as it is.
        dropout: float. Share of Conv5's channels dropped before the head.
        spatial_dropout: float. Share of whole channels dropped before Conv3 and Conv4.
        minimum_frames: int. Shorter batches are widened to this; the new frames are masked.
        width: float. Factor on the number of filters, rounded to even numbers.
        speaker: mapping or None. Sizes of a `SpeakerHead`: frames and embedding are normalised by
            speaker, and the convolutions run over time alone, with the values of a frame as
            channels, see `_by_speaker`; None leaves it out.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), of any number of frames.
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        keras.Model with outputs "logits", float32 (batch, num_classes), and "attention", float32
        (batch, H', T'), which sums to 1: the bottom-up map, or with the other two heads the same
        weight for every real cell. Head "attention" also has "top_down", (batch, H', T', K). With
        `speaker` there are further inputs, see `SpeakerHead`; the outputs are then "logits",
        "attention" (batch, T') and "embedding" (batch, values).

    Raises:
        ConfigError: an option has no meaning.

    Example:
        >>> model = build_attention_cnn(4)
        >>> model.output["attention"].shape, model.output["top_down"].shape
        ((None, 100, None), (None, 100, None, 4))

    Departures: cells are magnitudes; the paper does not say whether they are magnitudes or powers.
        Widening to 2 s gives the input the paper's 400 x 200 and changes no logit, for what is no
        speech is masked in every layer, be it 3 frames or most of a short utterance. Poolings round
        up, so that a single frame keeps a cell. Max-pooling follows Conv2 and Conv3: the text does
        not say which layers it follows. "mu_law_unit", "standard" and both dropouts are ours.
    """
    filters, pool_after = _checked(head, filters, pool_after)
    if speaker:
        adapting = speaker_head(dim, speaker)
        inputs, outputs = _by_speaker(adapting, num_classes, dim, filters, pool_after, dropout)
        return keras.Model(inputs, outputs, name=name)

    # === Functional Model ===
    inputs, x, mask = spectrogram_input(dim, input_scaling, minimum_frames, model="attention_cnn")
    for number, count in enumerate(filters, start=1):
        if spatial_dropout and number in (3, 4):
            x = keras.layers.SpatialDropout2D(spatial_dropout, name=f"spatial_dropout{number}")(x)
        count = max(2, 2 * round(count * width / 2))
        x = _two_shapes(x, count) if number == 1 else convolution(x, count, (3, 3), f"conv{number}")
        x = normalized(x, mask, f"conv{number}")
        if number in pool_after:
            x, mask = _pool(x, mask, number)
    if dropout:
        x = keras.layers.SpatialDropout2D(dropout, name="dropout")(x)
    return keras.Model(inputs, _classified(x, mask, head, num_classes), name=name)


# === Layers ===


def _by_speaker(
    head: SpeakerHead | NoSpeakerHead,
    num_classes: int,
    dim: int,
    filters: tuple[int, ...],
    pool_after: tuple[int, ...],
    dropout: float,
) -> tuple[dict[str, keras.KerasTensor], dict[str, keras.KerasTensor]]:
    """Returns inputs and outputs of the model that is normalised by speaker.

    The bottom-up attention of Eq. (10) weighs the columns of a convolution over time. The top-down
    maps are linear, so that their weighted sum is a linear function of the weighted mean column:
    here this mean, with the deviation beside it, is the embedding that is normalised, and the
    classifier behind it takes the place of the top-down attention.
    """
    features = keras.Input((None, dim), name="features")
    frames = keras.Input((None,), dtype="bool", name="mask")
    x = FeatureNormalizer(name="normalizer")(features, mask=frames)
    x, mask = head.frames(x, frames)
    for number, count in enumerate(filters, start=1):
        stride = POOL_WINDOW if number in pool_after else 1
        name, previous = f"conv{number}", x
        x = keras.layers.ZeroPadding1D(TIME_KERNEL // 2, name=f"{name}_pad")(x)
        x = keras.layers.Conv1D(count, TIME_KERNEL, strides=stride, name=name)(x)
        mask = StridedMask(TIME_KERNEL, stride, TIME_KERNEL // 2, name=f"{name}_columns")(mask)
        x = MaskedBatchNormalization(**BATCH_NORM, name=f"{name}_batch_norm")(x, mask=mask)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        if x.shape[-1] == previous.shape[-1] and stride == 1:
            x = keras.layers.Add(name=f"{name}_residual")([x, previous])
        x = FrameMask(name=f"{name}_mask")(x, mask=mask)
    pool = AttentionPooling(deviation=True, units=head.attention_units, name="attention")
    pooled, attention = pool(x, mask=mask)
    pooled, adapted = head.embedding(pooled)
    pooled = keras.layers.Dropout(dropout, name="dropout")(pooled)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(pooled)
    inputs = {"features": features, "mask": frames, **head.inputs}
    return inputs, {"logits": logits, "attention": attention, **adapted}


def spectrogram_input(
    dim: int, input_scaling: str, minimum_frames: int, *, model: str
) -> tuple[dict[str, keras.KerasTensor], keras.KerasTensor, keras.KerasTensor]:
    """Returns the inputs, the scaled image (batch, dim, frames, 1) and its mask (batch, frames).

    Raises:
        ConfigError: no such scaling, or no such minimum; `model` is its name, for the error.
    """
    if input_scaling not in INPUT_SCALINGS:
        message = unknown_name("input_scaling", str(input_scaling), INPUT_SCALINGS)
        raise ConfigError(f"{model}: {message}")
    if not is_count(minimum_frames):
        raise ConfigError(f"{model}: minimum_frames={minimum_frames!r}; expected 1 or more.")
    features = keras.Input((None, dim), name="features")
    frames = keras.Input((None,), dtype="bool", name="mask")
    x = FeatureNormalizer(name="normalizer")(features, mask=frames)
    lowest = INPUT_SCALINGS[input_scaling]
    if lowest is not None:
        x = MuLaw(MU, lowest, name="mu_law")(x, mask=frames)
    x, mask = FitFrames(minimum_frames, name="fit_frames")(x, mask=frames)
    x, mask = SpectrogramImage(name="image")(x, mask=mask)
    return {"features": features, "mask": frames}, x, mask


def convolution(
    x: keras.KerasTensor, filters: int, window: tuple[int, int], name: str
) -> keras.KerasTensor:
    """Adds a convolution that keeps height and width; `window` is (frequency, time)."""
    return keras.layers.Conv2D(
        filters, window, padding="same", kernel_initializer="he_normal", name=name
    )(x)


def normalized(x: keras.KerasTensor, mask: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Adds batch normalisation and ReLU, and sets the padding to 0 for the layer that follows."""
    x = MaskedBatchNormalization(**BATCH_NORM, name=f"{name}_batch_norm")(x, mask=mask)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return TimeMask(name=f"{name}_mask")(x, mask=mask)


def is_count(value: object) -> bool:
    """Tells whether `value` is a whole number from 1 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _two_shapes(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Adds Conv1: half of the filters long in frequency, half long in time (Sec. 2.3)."""
    frequency = convolution(x, filters // 2, FREQUENCY_WINDOW, "conv1a")
    time = convolution(x, filters // 2, TIME_WINDOW, "conv1b")
    return keras.layers.Concatenate(name="conv1")([frequency, time])


def _pool(
    x: keras.KerasTensor, mask: keras.KerasTensor, number: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Adds one max-pooling; returns (map, mask of the map).

    A window with one real column is real: beside the ReLU's outputs the padding's 0 never wins.
    """
    x = keras.layers.MaxPooling2D(POOL_WINDOW, padding="same", name=f"pool{number}")(x)
    return x, StridedMask(window=1, stride=POOL_WINDOW, name=f"pool{number}_columns")(mask)


def _classified(
    x: keras.KerasTensor, mask: keras.KerasTensor, head: str, num_classes: int
) -> dict[str, keras.KerasTensor]:
    """Adds a head of Sec. 2.4; returns the model's outputs."""
    if head == "attention":
        attend = BottomUpAttention(num_classes, name="attention")
        logits, attention, top_down = attend(x, mask=mask)
        return {"logits": logits, "attention": attention, "top_down": top_down}
    pool = MaskedAveragePooling2D if head == "gap" else BilinearPooling
    pooled, attention = pool(name="pooling")(x, mask=mask)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(pooled)
    return {"logits": logits, "attention": attention}


def _checked(
    head: str, filters: tuple[int, ...], pool_after: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns both sequences as tuples; a recipe delivers lists."""
    if head not in HEADS:
        raise ConfigError(f"attention_cnn: {unknown_name('head', str(head), HEADS)}")
    for option, value in (("filters", filters), ("pool_after", pool_after)):
        if not isinstance(value, tuple | list) or not all(map(is_count, value)):
            raise ConfigError(
                f"attention_cnn: {option}={value!r}; expected whole numbers from 1 on, as in "
                f"{option}: [2, 3]."
            )
    if not filters or filters[0] % 2:
        raise ConfigError(
            f"attention_cnn: filters={filters!r}; the first convolution is two halves, so give at "
            "least one number, the first of them even."
        )
    if any(number > len(filters) for number in pool_after):
        raise ConfigError(
            f"attention_cnn: pool_after={pool_after!r}; there are {len(filters)} convolutions."
        )
    return tuple(filters), tuple(pool_after)
