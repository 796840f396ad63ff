"""What training minimises: a named sum of terms, of which cross-entropy is the first.

An objective is a function of what a batch holds and what the model said; it lives in the file of
the model whose paper defines it and is named by the entry of that model in `ser_keras.models`.
Every term is logged on its own.
"""

from typing import Any

from keras import ops

Tensor = Any


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
        targets: (batch, num_classes). One-hot, or a mixture.
        weights: (batch,). Of each utterance.
        outputs: "logits" (batch, num_classes).
        label_smoothing: float. Share of every target spread evenly over the classes.

    Returns:
        dict of term name to scalar; their sum is minimised.
    """
    losses = cross_entropy(targets, outputs["logits"], label_smoothing)
    return {"cross_entropy": ops.mean(weights * losses)}


def cross_entropy(targets: Tensor, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Returns the cross-entropy in nats over the last axis, in float32.

    Args:
        targets: (..., num_classes), summing to 1.
        logits: (..., num_classes).
        label_smoothing: float. Share of every target spread evenly over the classes.

    Returns:
        (...).

    Example:
        >>> round(float(cross_entropy(ops.array([0.0, 1.0]), ops.array([3.0, 3.0]))), 4)
        0.6931
    """
    targets = ops.cast(targets, "float32")
    smoothed = (1.0 - label_smoothing) * targets + label_smoothing / targets.shape[-1]
    return -ops.sum(smoothed * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=-1)
