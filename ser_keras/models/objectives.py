"""What training minimises: a named sum of terms, of which cross-entropy is the first.

An objective is a function of what a batch holds and what the model said; it lives in the file of
the model whose paper defines it and is named by the entry of that model in `ser_keras.models`.
Every term is logged on its own.
"""

from typing import Any

from keras import ops

Tensor = Any

# The logit of a class that an utterance cannot have. Finite, so that no gradient is NaN.
IMPOSSIBLE = -1e9


def cross_entropy_objective(
    inputs: dict[str, Tensor],
    targets: Tensor,
    weights: Tensor,
    outputs: dict[str, Tensor],
    *,
    label_smoothing: float = 0.0,
) -> dict[str, Tensor]:
    """Returns the objective of models that only classify.

    Args:
        inputs: "features" (batch, frames, dim) and "mask", bool (batch, frames).
        targets: (batch, num_classes). One-hot, or a mixture; below 0 for a class that the corpus of
            an utterance does not have.
        weights: (batch,). Of each utterance.
        outputs: "logits" (batch, num_classes); or the first of them, and in "other_logits" those of
            the classes that only joint corpora have.
        label_smoothing: float. Share of every target spread evenly over the classes.

    Returns:
        dict of term name to scalar; their sum is minimised.
    """
    logits = outputs["logits"]
    if "other_logits" in outputs:
        logits = ops.concatenate([logits, outputs["other_logits"]], axis=-1)
    losses = cross_entropy(targets, logits, label_smoothing)
    return {"cross_entropy": ops.mean(weights * losses)}


def cross_entropy(targets: Tensor, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Returns the cross-entropy in nats over the last axis, in float32.

    Args:
        targets: (..., num_classes), summing to 1; a class with a target below 0 is none of those
            that the softmax and the smoothing run over.
        logits: (..., num_classes).
        label_smoothing: float. Share of every target spread evenly over the classes.

    Returns:
        (...).

    Example:
        >>> round(float(cross_entropy(ops.array([0.0, 1.0]), ops.array([3.0, 3.0]))), 4)
        0.6931
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    possible = targets >= 0.0
    count = ops.sum(ops.cast(possible, "float32"), axis=-1, keepdims=True)
    smoothed = (1.0 - label_smoothing) * targets + label_smoothing / count
    logarithms = ops.log_softmax(ops.where(possible, logits, IMPOSSIBLE), axis=-1)
    return -ops.sum(ops.where(possible, smoothed * logarithms, 0.0), axis=-1)
