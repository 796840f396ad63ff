"""Semi-supervised sparse autoencoder with attention (Sun and Wu 2019).

What the paper fixes, and where; the rest is a `Departures:` line of the two functions below:

| constant | value | source |
|---|---|---|
| input | log-mel energies, first and second derivatives, zero mean and unit variance | III-A |
| encoder | hidden layer larger than the input, sparse | III-B, Eq. 3 |
| classify path | BLSTM on the encoder's output, then attention over time | III-C, Fig. 3 |
| attention | softmax of the inner product with one vector | II-B, Eq. 1-2 |
| pseudo-class | one more class, of every utterance without a label | II-A, III-C |
| objective | cross-entropy + C reconstruction error | III-D, Eq. 4 |
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.frame_attention import AttentionPooling
from ser_keras.layers.projected_lstm import BidirectionalLSTM
from ser_keras.layers.sparse_dense import SparseDense
from ser_keras.layers.time_mask import StridedMask
from ser_keras.models.objectives import cross_entropy
from ser_keras.models.speaker_head import speaker_head

Tensor = Any

POOLINGS = ("mean", "mean_std")
LEAST_ACTIVATION = 1e-7  # a saturated unit has no finite divergence in float32


def build_sparse_autoencoder(
    num_classes: int,
    dim: int = 120,
    *,
    encoder_units: int = 256,
    noise: float = 0.0,
    recurrent_units: int = 128,
    recurrent_layers: int = 1,
    pooling: str = "mean",
    stride: int = 1,
    code_norm: bool = False,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    speaker: Mapping[str, int] | None = None,
    name: str = "sparse_autoencoder",
) -> keras.Model:
    """Returns the functional model of Sun and Wu 2019, Sec. III, with random weights.

    Args:
        num_classes: int. Classes K, in the order of the class set, without the pseudo-class.
        dim: int. Values per frame.
        encoder_units: int. Size of the sparse code, more than `dim`.
        noise: float. Deviation of Gaussian noise on the encoder's input, in training.
        recurrent_units: int. Size of the BLSTM's state per direction.
        recurrent_layers: int. BLSTMs on top of one another.
        pooling: str. "mean", weighted by the attention, or "mean_std" with the deviation behind it.
        stride: int. Above 1, a convolution passes every so many frames on to the BLSTM.
        code_norm: bool. Normalise each frame of the code to unit variance before the BLSTM.
        dropout: float. Share of the pooled vector dropped before the classifier.
        input_dropout: float. Share of the encoder's input set to zero, in training.
        speaker: mapping or None. Sizes of a `SpeakerHead`, which normalises frames and context by
            speaker; None leaves it out.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), of any number of frames.
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        keras.Model with float32 outputs "logits" (batch, K), whose softmax is that over all K + 1
        classes renormalised over the K; "logits_with_pseudo" (batch, K + 1), the pseudo-class last;
        "attention" (batch, ceil(frames / stride)), which sums to 1; "activations" (batch, frames,
        encoder_units), 0 in the padding; "reconstruction" and what it is compared with,
        "normalized" (batch, frames, dim). The reconstruction of padding has no meaning. With
        `speaker` there are further inputs, see `SpeakerHead`, the output "embedding" (batch,
        values), and the mask "columns" of the frames that are encoded.

    Raises:
        ConfigError: an option has no meaning, or the encoder is not wider than its input.

    Example:
        >>> model = build_sparse_autoencoder(4)
        >>> model.output["logits"].shape, model.output["logits_with_pseudo"].shape
        ((None, 4), (None, 5))

    Departures: sizes are ours: the paper says only that the code is larger than the input. It does
        not give the number of layers; here it is one. The decoder is one linear layer with weights
        of its own, because inputs of unit variance have no bounds. At inference the
        pseudo-class is left out, which the paper does not say. `pooling`, `stride`, `code_norm` and
        both dropouts are ours: activations of 0.05 are so small that the layers behind them learn
        slowly. The strided convolution spans 2 stride - 1 frames with zeros around each utterance;
        the attention is then over its columns.
    """
    _check_options(dim, encoder_units, pooling, stride, recurrent_layers)

    # === Functional Model ===
    features = keras.Input((None, dim), name="features")
    frames = keras.Input((None,), dtype="bool", name="mask")
    # The target of the reconstruction: in half precision its error would be noise to be learnt.
    clean = FeatureNormalizer(name="normalizer", dtype="float32")(features, mask=frames)
    head = speaker_head(dim, speaker)
    clean, encoded = head.frames(clean, frames)
    corrupted = keras.layers.Dropout(input_dropout, name="input_dropout")(clean)
    code = SparseDense(encoder_units, noise, name="encoder")(corrupted, mask=encoded)
    reconstruction = keras.layers.Dense(dim, dtype="float32", name="decoder")(code)
    x = code
    if code_norm:
        # Without a shift, so that padding stays 0.
        x = keras.layers.LayerNormalization(center=False, name="code_norm")(x)
    x, columns = (x, encoded) if stride == 1 else _strided(x, encoded, stride)
    for number in range(1, recurrent_layers + 1):
        x = BidirectionalLSTM(recurrent_units, name=f"blstm{number}")(x, mask=columns)
    deviation = pooling == "mean_std"
    pool = AttentionPooling(deviation, units=head.attention_units, name="attention")
    context, attention = pool(x, mask=columns)
    context, adapted = head.embedding(context)
    context = keras.layers.Dropout(dropout, name="dropout")(context)
    logits = keras.layers.Dense(num_classes + 1, dtype="float32", name="classifier")(context)
    outputs = {
        "logits": logits[:, :num_classes],
        "logits_with_pseudo": logits,
        "attention": attention,
        "reconstruction": reconstruction,
        "activations": keras.layers.Identity(dtype="float32", name="activations")(code),
        "normalized": clean,
        **adapted,
    }
    outputs |= {"columns": encoded} if speaker else {}
    return keras.Model({"features": features, "mask": frames, **head.inputs}, outputs, name=name)


def sparse_autoencoder_objective(
    inputs: dict[str, Tensor],
    targets: Tensor,
    weights: Tensor,
    outputs: dict[str, Tensor],
    *,
    label_smoothing: float = 0.0,
    reconstruction_weight: float = 1.0,
    sparsity_weight: float = 1e-2,
    sparsity_target: float = 0.05,
    unlabelled_weight: float = 0.3,
) -> dict[str, Tensor]:
    """Returns the terms of the joint objective, whose sum is minimised.

    Implements Sun and Wu 2019, Sec. III-D, Eq. (4): L = Ls + C Lu, with the cross-entropy Ls over
    the classes and the pseudo-class, and the mean squared error Lu of the rebuilt frames. The
    sparsity of Eq. (3) is a term of its own.

    Args:
        inputs: "features" (batch, frames, dim) and "mask", bool (batch, frames).
        targets: (batch, num_classes). One-hot, or a mixture; all zeros mark an utterance without a
            label, whose class is the pseudo-class.
        weights: (batch,). Of each utterance's cross-entropy.
        outputs: of the model, all but "logits" and "attention" are read.
        label_smoothing: float. Share of every label spread evenly over the K classes.
        reconstruction_weight: float. C of Eq. (4).
        sparsity_weight: float. Of Eq. (3).
        sparsity_target: float. Rho of Eq. (3), in (0, 1).
        unlabelled_weight: float. Of the pseudo-class against the labels.

    Returns:
        dict of scalars whose sum is minimised: "cross_entropy", the mean over the labelled
        utterances; "pseudo_class", the mean over the unlabelled; "reconstruction", the mean squared
        error over the values of all real frames; "sparsity", of the activations' means over all
        real frames of the batch. A batch without utterances of one kind has 0 there.

    Raises:
        ConfigError: a weight is negative, or the sparsity target is not in (0, 1).

    Departures: each of the two means is over its own count, so that `unlabelled_weight` means the
        same whatever a batch holds of either; label smoothing spreads over the K classes alone,
        because no labelled utterance can belong to the pseudo-class; the weights of pseudo-class
        and sparsity are ours, the paper has none; `weights` do not touch the reconstruction, which
        knows no classes. For Eq. (3) see `sparsity_penalty`.
    """
    _check_weights(sparsity_target, reconstruction_weight, sparsity_weight, unlabelled_weight)
    targets = ops.cast(targets, "float32")
    labelled = ops.cast(ops.sum(targets, axis=-1) > 0, "float32")
    smoothed = (1.0 - label_smoothing) * targets + label_smoothing / targets.shape[-1]
    with_pseudo = ops.concatenate([labelled[:, None] * smoothed, 1.0 - labelled[:, None]], axis=-1)
    losses = ops.cast(weights, "float32") * cross_entropy(
        with_pseudo, outputs["logits_with_pseudo"]
    )
    real = ops.cast(outputs.get("columns", inputs["mask"]), "float32")[..., None]
    errors = ops.square(outputs["reconstruction"] - outputs["normalized"])
    activity = _mean(outputs["activations"], real, axis=(0, 1))
    return {
        "cross_entropy": _mean(losses, labelled),
        "pseudo_class": unlabelled_weight * _mean(losses, 1.0 - labelled),
        "reconstruction": reconstruction_weight * _mean(ops.mean(errors, -1, keepdims=True), real),
        "sparsity": sparsity_weight * sparsity_penalty(activity, sparsity_target),
    }


def sparsity_penalty(activity: Tensor, target: float) -> Tensor:
    """Returns how far mean activations are from `target`, in nats summed over the units.

    Implements Sun and Wu 2019, Sec. III-B, Eq. (3): the Kullback-Leibler divergence from a coin
    that shows heads with probability `target` to one with that of each unit's mean activation.

    Args:
        activity: (units,). Mean activation of each unit, in [0, 1].
        target: float. Rho, in (0, 1).

    Returns:
        Scalar; 0 where every unit is at the target, finite everywhere.

    Example:
        >>> round(float(sparsity_penalty(ops.array([0.05, 0.5]), 0.05)), 4)
        0.4946

    Departures: the printed first term, rho log rho_j, has no lower bound and rewards dead units;
        this is the divergence that the text describes, rho log(rho / rho_j).
    """
    activity = ops.clip(ops.cast(activity, "float32"), LEAST_ACTIVATION, 1 - LEAST_ACTIVATION)
    active = target * ops.log(target / activity)
    silent = (1 - target) * ops.log((1 - target) / (1 - activity))
    return ops.sum(active + silent)


# === Layers ===


def _strided(
    code: keras.KerasTensor, mask: keras.KerasTensor, stride: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Adds the convolution that keeps one frame of `stride`; returns (frames, their mask)."""
    window, padding = 2 * stride - 1, stride - 1  # ceil(n / stride) columns, never none
    x = keras.layers.ZeroPadding1D(padding, name="strided_pad")(code)
    x = keras.layers.Conv1D(
        code.shape[-1], window, strides=stride, activation="relu", name="strided"
    )(x)
    return x, StridedMask(window, stride, padding, name="strided_columns")(mask)


def _mean(values: Tensor, weights: Tensor, axis: tuple[int, ...] | None = None) -> Tensor:
    """Returns the mean of the values whose weight is 1 and not 0; 0 where there is none."""
    return ops.sum(values * weights, axis=axis) / ops.maximum(ops.sum(weights), 1.0)


# === Config ===


def _check_options(
    dim: int, encoder_units: int, pooling: str, stride: int, recurrent_layers: int
) -> None:
    if pooling not in POOLINGS:
        raise ConfigError(f"sparse_autoencoder: {unknown_name('pooling', str(pooling), POOLINGS)}")
    for option, value in (("stride", stride), ("recurrent_layers", recurrent_layers)):
        if value < 1:
            raise ConfigError(f"sparse_autoencoder: {option}={value!r}; expected 1 or more.")
    if encoder_units <= dim:
        raise ConfigError(
            f"sparse_autoencoder: encoder_units={encoder_units} for features of {dim} dimensions; "
            f"a sparse code is wider than its input. Pass encoder_units={2 * dim}, or other "
            "features."
        )


def _check_weights(sparsity_target: float, *weights: float) -> None:
    if not 0 < sparsity_target < 1 or min(weights) < 0:
        raise ConfigError(
            f"sparse_autoencoder: sparsity_target={sparsity_target}, weights {weights}; expected a "
            "mean activation between 0 and 1, and no negative weight."
        )
