"""The sparse autoencoder in plain NumPy: slow, obvious, one utterance and one frame at a time.

Written from Sun and Wu 2019, Eq. (1)-(4), with Eq. (3) as the divergence its text describes; shares
no line with the model it judges. Everything is float64. Weights are lists in the order in which the
model's layers have them.
"""

import math

import numpy as np

from tests.reference.lstm import bidirectional_lstm, sigmoid


def encode(frames, matrix, bias):
    """frames (T, D), matrix (D, units): the activations, (T, units)."""
    return np.array([sigmoid(frame @ matrix + bias) for frame in frames])


def strided(frames, kernel, bias, stride):
    """One column per `stride` frames, seeing stride - 1 frames to both sides, then a ReLU."""
    columns = []
    for centre in range(0, len(frames), stride):
        total = bias.copy()
        for offset in range(-(stride - 1), stride):
            if 0 <= centre + offset < len(frames):
                total = total + frames[centre + offset] @ kernel[offset + stride - 1]
        columns.append(np.maximum(total, 0))
    return np.array(columns)


def attend(frames, vector, deviation=False):
    """Eq. (1) and (2): (the pooled vector, the weight of each frame)."""
    powers = [math.exp(vector @ frame) for frame in frames]
    alpha = np.array([power / sum(powers) for power in powers])
    mean = sum(share * frame for share, frame in zip(alpha, frames, strict=True))
    if not deviation:
        return mean, alpha
    variance = sum(share * (frame - mean) ** 2 for share, frame in zip(alpha, frames, strict=True))
    return np.concatenate([mean, np.sqrt(np.maximum(variance, 1e-6))]), alpha


def forward(features, weights, stride=1, layers=1, deviation=False):
    """One utterance (T, D) through the network; the model's outputs by their names."""
    offset, scale = weights["normalizer"]
    normalized = (features - offset) * scale
    activations = encode(normalized, *weights["encoder"])
    matrix, bias = weights["decoder"]
    frames = activations
    if stride > 1:
        frames = strided(frames, *weights["strided"], stride)
    for number in range(1, layers + 1):
        both = weights[f"blstm{number}"]
        frames = bidirectional_lstm(frames, both[:3], both[3:])
    context, alpha = attend(frames, weights["attention"][0][:, 0], deviation)
    logits = context @ weights["classifier"][0] + weights["classifier"][1]
    return {
        "normalized": normalized,
        "activations": activations,
        "reconstruction": activations @ matrix + bias,
        "attention": alpha,
        "logits_with_pseudo": logits,
        "logits": logits[:-1],
    }


def sparsity(means, rho):
    """Eq. (3): Kullback-Leibler divergence of two coins, summed over the units."""
    total = 0.0
    for mean in means:
        total += rho * math.log(rho / mean) + (1 - rho) * math.log((1 - rho) / (1 - mean))
    return total


def objective(
    predictions, labels, weights, *, smoothing=0.0, c=1.0, beta=1e-2, rho=0.05, unlabelled=0.3
):
    """Eq. (4). `predictions`: outputs per utterance; `labels`: their classes, None = no label."""
    with_label, without = [], []
    for outputs, label, weight in zip(predictions, labels, weights, strict=True):
        logits = outputs["logits_with_pseudo"]
        chances = np.exp(logits) / np.exp(logits).sum()
        if label is None:
            without.append(-weight * math.log(chances[-1]))
            continue
        classes = len(logits) - 1
        loss = -(1 - smoothing) * math.log(chances[label])
        for other in range(classes):
            loss -= smoothing / classes * math.log(chances[other])
        with_label.append(weight * loss)
    errors, codes = [], []
    for outputs in predictions:
        for clean, again in zip(outputs["normalized"], outputs["reconstruction"], strict=True):
            errors.append(np.mean((clean - again) ** 2))
        codes += list(outputs["activations"])
    return {
        "cross_entropy": sum(with_label) / max(len(with_label), 1),
        "pseudo_class": unlabelled * sum(without) / max(len(without), 1),
        "reconstruction": c * sum(errors) / len(errors),
        "sparsity": beta * sparsity(sum(codes) / len(codes), rho),
    }
