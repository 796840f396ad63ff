"""Predictive VRNN with emergent attention (Baruah and Banerjee 2022).

What the paper fixes, and where; the rest is a `Departures:` line of what it concerns:

| constant | RAVDESS | IEMOCAP | source |
|---|---|---|---|
| input | 40 MFCC of each 2 s window, 50 % overlap | the same | 3.2 |
| recognition, generation, classification units | 512, 256, 512 | 64, 64, 64 | 3.2 |
| latent variables | 20 | 10 | 3.2 |
| dropout of the three | 0.3, 0.3, 0.1 | 0.8, 0.8, 0.8 | 3.2 |
| weights of generation, classification, KL | 1, 50, 1 | the same | 3.2, Eq. 5 |
| batch, optimizer | 256, RMSprop 1e-3 | the same | 3.2, Alg. 1 |
| optimizer's constants | beta1 0.9, beta2 0.99, epsilon 1e-10 | the same | Alg. 1 |

The paper states 22.6 and 12.78 million parameters. They do not follow from its sizes, which make
2.55 and 0.072 million with one vector per window.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.normalize import FeatureNormalizer
from ser_keras.layers.predictive_cell import OUTPUTS
from ser_keras.layers.predictive_vrnn import PredictiveVRNN
from ser_keras.layers.weighted_pooling import WeightedPooling
from ser_keras.models.objectives import cross_entropy
from ser_keras.models.predictive_vrnn_windows import check_windows, window_vectors
from ser_keras.models.speaker_head import NoSpeakerHead, SpeakerHead, speaker_head

Tensor = Any

# When the classification's error is counted.
LABEL_TIMES = ("every", "end")


def build_predictive_vrnn(
    num_classes: int,
    dim: int = 40,
    *,
    recognition_units: int = 512,
    generation_units: int = 256,
    classification_units: int = 512,
    latent_dim: int = 20,
    attention: bool = True,
    recognition_dropout: float = 0.3,
    generation_dropout: float = 0.3,
    classification_dropout: float = 0.1,
    initial_log_variance: float = 0.0,
    window_frames: int = 0,
    window_hop: int = 0,
    front_layers: int = 0,
    front_units: int = 128,
    input_dropout: float = 0.0,
    speaker: Mapping[str, int] | None = None,
    name: str = "predictive_vrnn",
) -> keras.Model:
    """Returns the functional model of Baruah and Banerjee 2022, Sec. 2.3, with random weights.

    Args:
        num_classes: int. Output units K, in the order of the class set.
        dim: int. Size of a window's vector.
        recognition_units: int. Size of the LSTM over the attended values.
        generation_units: int. Size of the LSTM that predicts the next vector.
        classification_units: int. Size of the LSTM that is classified.
        latent_dim: int. Size of the latent variable.
        attention: bool. False passes every vector on whole, the paper's ablation.
        recognition_dropout: float. Share of the recognition LSTM's output dropped.
        generation_dropout: float. The same for the generation LSTM.
        classification_dropout: float. The same for the classification LSTM.
        initial_log_variance: float. Of the latent variable, before anything is learnt; at 0 its
            noise is as strong as the prior's, and at first the classifier is given little else.
        window_frames: int. Above 0 the features are frames, and the model makes windows of so many
            of them, whose means and deviations it standardises. 0 takes the vectors as they are.
        window_hop: int. Frames between the starts of two windows.
        front_layers: int. Convolutions over the frames of a window before their means and
            deviations are taken: the first over 5 frames and of every second one, those behind it
            over 3. Then a window has 2 frames for every column after the first, and `window_hop`
            is even.
        front_units: int. Filters of each.
        input_dropout: float. Share of the values of the frames set to zero, in training, where
            windows are made here.
        speaker: mapping or None. Sizes of a `SpeakerHead`: frames are normalised by speaker, and so
            are mean and deviation of the classification LSTM over all windows, which are then
            classified; None leaves it out.
        name: str.

    Call arguments:
        features: float (batch, frames, dim), one vector per window, such as mfcc40-windows.
        mask: bool (batch, frames), True for real frames, which come first.

    Returns:
        keras.Model with float32 outputs: "logits" (batch, num_classes), those of the last real
        window; "step_logits" (batch, frames, num_classes); "attention" (batch, frames, dim), the W
        of Eq. (3), 0 or 1; "prediction_mean" and "prediction_log_variance" (batch, frames, dim), at
        t of window t + 1; "latent_mean" and "latent_log_variance" (batch, frames, latent_dim);
        "normalized" (batch, frames, dim), the vectors on the scale of the predictions. All of
        them are 0 in the padding. With `window_frames` there are windows in the place of frames and
        twice `dim` values, or twice `front_units`; "steps" (batch, windows) is then their mask.
        With `speaker` there are further inputs, see `SpeakerHead`, and the output "embedding"
        (batch, values); "logits" are those of the whole utterance.

    Raises:
        ConfigError: a size is no positive number, or a dropout not in 0..1.

    Example:
        >>> model = build_predictive_vrnn(8)
        >>> model.output["attention"].shape, model.count_params()
        ((None, None, 40), 2553040)

    Departures: the paper does not say how the frames of a window become one vector of 40; the mean
        in mfcc40-windows is ours. Vectors are z-scored on the training fold, which the paper does
        not say and without which the first coefficients alone would be attended to. The latent
        variable is its mean at inference, see `PredictiveCell`. Windows inside of the model are
        ours: the vectors can then be learnt from distorted frames, and with a front end the network
        chooses the values that describe a window, that it predicts and that it attends to.
        `initial_log_variance` is ours as well.
    """
    sizes = {
        "recognition_units": recognition_units,
        "generation_units": generation_units,
        "classification_units": classification_units,
        "latent_dim": latent_dim,
    }
    _check_sizes(num_classes=num_classes, dim=dim, front_units=front_units, **sizes)
    dropouts = {
        "recognition_dropout": recognition_dropout,
        "generation_dropout": generation_dropout,
    }
    _check_dropouts(
        **dropouts, input_dropout=input_dropout, classification_dropout=classification_dropout
    )
    check_windows(window_frames, window_hop, front_layers)

    # === Functional Model ===
    features = keras.Input((None, dim), name="features")
    mask = keras.Input((None,), dtype="bool", name="mask")
    normalized = FeatureNormalizer(dtype="float32", name="normalizer")(features, mask=mask)
    head = speaker_head(dim, speaker)
    normalized, steps = head.frames(normalized, mask)
    if window_frames:
        normalized = keras.layers.Dropout(input_dropout, name="input_dropout")(normalized)
        front = front_layers, front_units
        normalized, steps = window_vectors(normalized, steps, window_frames, window_hop, *front)
    options = {"attention": attention, "initial_log_variance": initial_log_variance}
    cell = PredictiveVRNN(**sizes, **dropouts, **options, name="predictive")
    *predictive, hidden = cell(normalized, mask=steps)
    outputs = {
        **_classified(head, hidden, steps, num_classes, classification_dropout),
        **dict(zip(OUTPUTS[:-1], predictive, strict=True)),
        "normalized": normalized,
    }
    outputs |= {"steps": steps} if window_frames or speaker else {}
    return keras.Model({"features": features, "mask": mask, **head.inputs}, outputs, name=name)


def predictive_vrnn_objective(
    inputs: dict[str, Tensor],
    targets: Tensor,
    weights: Tensor,
    outputs: dict[str, Tensor],
    *,
    label_smoothing: float = 0.0,
    generation_weight: float = 1.0,
    classification_weight: float = 50.0,
    kl_weight: float = 1.0,
    label_time: str = "every",
) -> dict[str, Tensor]:
    """Returns the negative of the bound that training raises.

    Implements Baruah and Banerjee 2022, Eq. (5), each term summed over the real windows t of an
    utterance and averaged over the batch: minus the log-density of window t + 1 under the
    prediction made at t; the cross-entropy of the class predicted at t; the divergence of the
    latent variable at t from a standard normal one. A single window has no generation term.

    Args:
        inputs: "mask", bool (batch, frames).
        targets: (batch, num_classes). One-hot, or a mixture.
        weights: (batch,). Of each utterance's cross-entropy.
        outputs: of the model.
        label_smoothing: float. Share of every target spread evenly over the classes.
        generation_weight: float. Lambda 1.
        classification_weight: float. Lambda 2.
        kl_weight: float. Beta.
        label_time: str. "every": the class counts at every window, as Eq. (5) sums it; "end":
            at the last one alone, as Sec. 3.2 says ("computed at the end of each audio file").

    Returns:
        dict of "generation", "classification" and "kl" to scalars, already weighted; their sum is
        minimised. "utterance", where the model classifies whole utterances.

    Raises:
        ConfigError: unknown `label_time`.

    Departures: utterance weights balance the classes, so they multiply the classification alone;
        to predict speech is learnt from all utterances alike.
    """
    if label_time not in LABEL_TIMES:
        raise ConfigError(f"predictive_vrnn: {unknown_name('label_time', label_time, LABEL_TIMES)}")
    valid = ops.cast(outputs.get("steps", inputs["mask"]), "float32")
    counted = valid if label_time == "every" else _last_step(valid)
    mean, log_variance = (
        outputs[f"prediction_{part}"][:, :-1] for part in ("mean", "log_variance")
    )
    error = ops.square(outputs["normalized"][:, 1:] - mean) * ops.exp(-log_variance)
    surprise = 0.5 * ops.sum(math.log(2.0 * math.pi) + log_variance + error, axis=-1)

    targets = ops.expand_dims(targets, 1)
    losses = cross_entropy(targets, outputs["step_logits"], label_smoothing)

    mean, log_variance = outputs["latent_mean"], outputs["latent_log_variance"]
    distance = ops.square(mean) + ops.exp(log_variance) - log_variance - 1.0
    divergence = 0.5 * ops.sum(distance, axis=-1)
    terms = {}
    if "embedding" in outputs:
        of_utterance = cross_entropy(targets[:, 0], outputs["logits"], label_smoothing)
        terms["utterance"] = classification_weight * ops.mean(weights * of_utterance)
    return terms | {
        "generation": generation_weight * _over_batch(surprise * valid[:, 1:]),
        "classification": classification_weight
        * _over_batch(ops.expand_dims(weights, 1) * losses * counted),
        "kl": kl_weight * _over_batch(divergence * valid),
    }


# === Layers ===


def _classified(
    head: SpeakerHead | NoSpeakerHead,
    hidden: Tensor,
    mask: Tensor,
    num_classes: int,
    dropout: float,
) -> dict[str, Tensor]:
    """Adds the classifiers; returns the logits of the utterance and of every step.

    Those of the utterance are those of the last step or, with statistics of speakers, those of mean
    and deviation over all steps; then there is the output "embedding" as well.
    """
    dropped = keras.layers.Dropout(dropout, name="classification_dropout")(hidden)
    step_logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(dropped)
    step_logits = ops.where(ops.expand_dims(mask, -1), step_logits, 0.0)
    if isinstance(head, NoSpeakerHead):
        return {"logits": _at_last_step(step_logits, mask), "step_logits": step_logits}
    pooled, _ = WeightedPooling(deviation=True, name="pooling")(hidden, mask=mask)
    x, adapted = head.embedding(pooled)
    x = keras.layers.Dropout(dropout, name="utterance_dropout")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="utterance_classifier")(x)
    return {"logits": logits, "step_logits": step_logits, **adapted}


def _at_last_step(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the values of each utterance at its last real frame, 0 where it has none."""
    return ops.sum(values * ops.expand_dims(_last_step(ops.cast(mask, values.dtype)), -1), axis=1)


def _last_step(valid: Tensor) -> Tensor:
    """Returns 1 at the last real frame of each utterance and 0 elsewhere, (batch, frames)."""
    return valid - ops.pad(valid[:, 1:], [[0, 0], [0, 1]])


def _over_batch(values: Tensor) -> Tensor:
    """Returns the sum over the frames, averaged over the utterances."""
    return ops.mean(ops.sum(values, axis=1))


def _check_sizes(**sizes: int) -> None:
    for option, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"predictive_vrnn: {option}={size!r}; expected 1 or more, whole.")


def _check_dropouts(**dropouts: float) -> None:
    for option, share in dropouts.items():
        if not 0.0 <= share < 1.0:
            raise ConfigError(
                f"predictive_vrnn: {option}={share!r}; expected a share of 0 or more, below 1."
            )
