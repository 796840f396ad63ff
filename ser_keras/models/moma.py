"""MOMA: mixture of multi-view attention on bidirectional LSTMs.

What the paper fixes, and where; the rest is a `Departures:` line of `build_moma`:

| constant | value | source |
|---|---|---|
| input | 23 log-mel filterbank energies | 4.2 |
| encoder | 2 bidirectional LSTMs of 512 nodes each way, so 1024 values per frame | 3.3 |
| attention layer 1 | context of 128; a projection is added to the frames | 3.3, Eq. 4-6 |
| attention layer 2 | 3 blocks, mixed by gamma 1..3, which start at random | 3.2, Eq. 7-9 |
| classifier | projection to 1024 nodes, then linear, softmax, cross-entropy | 3.3 |
| optimiser | Adam 1e-4; PyTorch's ReduceLROnPlateau, patience 4, factor 0.1 | 4.3 |
"""

from collections.abc import Mapping

import keras

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.masked_batch_norm import MaskedBatchNormalization
from ser_keras.layers.moma_attention import AttentionMixture, ProductAttention, ResidualAttention
from ser_keras.layers.projected_lstm import BidirectionalLSTM
from ser_keras.layers.time_mask import StridedMask
from ser_keras.layers.weighted_pooling import WeightedPooling
from ser_keras.models.speaker_head import speaker_head

ATTENTIONS = ("mixture", "single", "none")
PROJECTIONS = ("none", "tanh")
POOLINGS = ("mean", "mean_std")
FRONTS = ("none", "conv")
FRONT_WINDOW = 5


def build_moma(
    num_classes: int,
    dim: int = 23,
    *,
    units: int = 512,
    layers: int = 2,
    attention_units: int = 128,
    blocks: int = 3,
    attention: str = "mixture",
    scale_by_length: bool = False,
    projection: str = "none",
    pooling: str = "mean",
    front: str = "none",
    front_units: int = 128,
    front_stride: int = 2,
    front_norm: bool = False,
    speaker: Mapping[str, int] | None = None,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    recurrent_dropout_between: float = 0.0,
    name: str = "moma",
) -> keras.Model:
    """Returns the functional model of MOMA, Sec. 3, with random weights.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Values per frame.
        units: int. Size of the state of each BLSTM per direction.
        layers: int. BLSTMs on top of one another.
        attention_units: int. Size of the context E of every attention block.
        blocks: int. N, the views of the mixture.
        attention: str. "mixture" (the paper's), "single" (one block weighs the frames of the BLSTM,
            with neither skip connection nor gamma) or "none" (their mean).
        scale_by_length: bool. Multiply the attention of layer 1 by the frames it sums to 1 over.
        projection: str. "none", or "tanh": a dense layer of 2 units before the classifier.
        pooling: str. "mean", weighted by the attention, or "mean_std" with the deviation behind it.
        front: str. "none", or "conv": every `front_stride`-th frame of a convolution over 5 goes to
            the BLSTM.
        front_units: int. Filters of that convolution.
        front_stride: int. 2 halves the number of frames.
        front_norm: bool. Batch normalisation between that convolution and its ReLU.
        speaker: mapping or None. Sizes of a `SpeakerHead`, which normalises frames and context by
            speaker; None leaves it out.
        dropout: float. Share of the context vector dropped before the classifier.
        input_dropout: float. Share of the features set to zero, in training.
        recurrent_dropout_between: float. Share dropped between a BLSTM and the next.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), of any number of frames.
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        keras.Model with float32 outputs "logits" (batch, K) and "attention" (batch, frames), which
        sums to 1, for the mixture to the sum of gamma (Eq. 9). The mixture also has
        "attention_layer1" (batch, frames) and "attention_blocks" (batch, N, frames), each summing
        to 1, and "gamma" (batch, N), the same in every row. With `front="conv"` there
        are fewer frames in all of them. With `speaker` there are further inputs, see `SpeakerHead`,
        and the output "embedding", (batch, values).

    Raises:
        ConfigError: an option has no meaning.

    Example:
        >>> model = build_moma(4, units=8, attention_units=4)
        >>> model.output["logits"].shape, model.output["attention_blocks"].shape
        ((None, 4), (None, 3, None))

    Departures: the paper projects the context to 1024 nodes before a linear classifier (Sec. 3.3);
        two linear layers are one, so there is none unless `projection="tanh"` makes it more.
        Eq. (6) is read as in `ResidualAttention`, the context as in `WeightedPooling`. Other
        numbers of blocks than 3 are future work of the paper (Sec. 5.2). Ours are the attentions
        "single" and "none", `pooling`, `front` and the three dropouts. The convolution pads each
        utterance with zeros, not the batch, so that batching changes nothing.
    """
    _check_options(attention, projection, pooling, front)
    _check_sizes(
        units=units,
        layers=layers,
        attention_units=attention_units,
        blocks=blocks,
        front_units=front_units,
        front_stride=front_stride,
    )

    # === Functional Model ===
    features = keras.Input((None, dim), name="features")
    frames = keras.Input((None,), dtype="bool", name="mask")
    x, mask = FeatureNormalizer(name="normalizer")(features, mask=frames), frames
    head = speaker_head(dim, speaker)
    x, mask = head.frames(x, mask)
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name="input_dropout")(x)
    if front == "conv":
        x, mask = _front(x, mask, front_units, front_stride, front_norm)
    for number in range(1, layers + 1):
        if recurrent_dropout_between and number > 1:
            dropped = keras.layers.Dropout(recurrent_dropout_between, name=f"dropout{number - 1}")
            x = dropped(x)
        x = BidirectionalLSTM(units, name=f"blstm{number}")(x, mask=mask)
    x, weights, maps = _attend(x, mask, attention, attention_units, blocks, scale_by_length)
    pool = WeightedPooling(deviation=pooling == "mean_std", name="pooling")
    context, weights = pool(x, mask=mask, weights=weights)
    if projection == "tanh":
        context = keras.layers.Dense(2 * units, activation="tanh", name="projection")(context)
    context, adapted = head.embedding(context)
    context = keras.layers.Dropout(dropout, name="dropout")(context)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(context)
    outputs = {"logits": logits, "attention": weights, **maps, **adapted}
    return keras.Model({"features": features, "mask": frames, **head.inputs}, outputs, name=name)


# === Layers ===


def _front(
    x: keras.KerasTensor, mask: keras.KerasTensor, filters: int, stride: int, norm: bool
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Adds the strided convolution; returns (frames, mask of the frames)."""
    padding = FRONT_WINDOW // 2
    x = keras.layers.ZeroPadding1D(padding, name="front_pad")(x)
    x = keras.layers.Conv1D(
        filters, FRONT_WINDOW, strides=stride, activation=None if norm else "relu", name="front"
    )(x)
    mask = StridedMask(FRONT_WINDOW, stride, padding, name="front_columns")(mask)
    if norm:
        x = MaskedBatchNormalization(momentum=0.9, name="front_batch_norm")(x, mask=mask)
        x = keras.layers.ReLU(name="front_relu")(x)
    return x, mask


def _attend(
    x: keras.KerasTensor,
    mask: keras.KerasTensor,
    attention: str,
    units: int,
    blocks: int,
    scale_by_length: bool,
) -> tuple[keras.KerasTensor, keras.KerasTensor | None, dict[str, keras.KerasTensor]]:
    """Adds the attention; returns (frames, their weights, named maps to show)."""
    if attention == "none":
        return x, None, {}
    if attention == "single":
        return x, ProductAttention(units, name="attention")(x, mask=mask), {}
    x, first = ResidualAttention(units, scale_by_length, name="attention_layer1")(x, mask=mask)
    weights, views, gamma = AttentionMixture(units, blocks, name="mixture")(x, mask=mask)
    maps = {"attention_layer1": first, "attention_blocks": views, "gamma": gamma}
    return x, weights, maps


def _check_options(attention: str, projection: str, pooling: str, front: str) -> None:
    for option, value, known in (
        ("attention", attention, ATTENTIONS),
        ("projection", projection, PROJECTIONS),
        ("pooling", pooling, POOLINGS),
        ("front", front, FRONTS),
    ):
        if value not in known:
            raise ConfigError(f"moma: {unknown_name(option, str(value), known)}")


def _check_sizes(**sizes: int) -> None:
    for option, size in sizes.items():
        if size < 1:
            raise ConfigError(
                f"moma: {option}={size}; expected 1 or more. Leave it out for the default."
            )
