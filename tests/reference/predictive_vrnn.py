"""Forward pass and objective of the predictive VRNN in plain NumPy: one utterance, step by step.

Written from Baruah and Banerjee 2022, Eq. (2)-(5), Algorithms 1 and 2; shares no line with the
model it judges. Everything is float64.
"""

import math

import numpy as np


def sigmoid(value):
    return 1.0 / (1.0 + np.exp(-value))


def lstm(vector, hidden, memory, kernel, recurrent_kernel, bias):
    """One step, gates in the order input, forget, candidate, output."""
    gates = vector @ kernel + hidden @ recurrent_kernel + bias
    enter, forget, candidate, leave = np.split(gates, 4)
    memory = sigmoid(forget) * memory + sigmoid(enter) * np.tanh(candidate)
    return sigmoid(leave) * np.tanh(memory), memory


def select(vector, prediction):
    """Eq. (2), (3): the weight of each element; all are seen where nothing was predicted."""
    if prediction is None:
        return [1.0] * len(vector)
    salience = [abs(true - predicted) for true, predicted in zip(vector, prediction, strict=True)]
    threshold = sum(salience) / len(salience)
    return [1.0 if value >= threshold else 0.0 for value in salience]


def gaussian(hidden, kernel, bias):
    mean, log_variance = np.split(hidden @ kernel + bias, 2)
    return mean, np.minimum(np.maximum(log_variance, -6.0), 3.0)


def forward(features, weights, *, attention=True, noise=None, keep=None):
    """features (T, dim), weights by layer -> dict of arrays (T, ...) and logits (K,).

    noise: (T, latent) or None, for z = mean. keep: pair of factors (T, units) on the outputs of the
    recognition and of the generation LSTM, or None.
    """
    offset, scale = weights["normalizer"]
    normalized = (features.astype(float) - offset) * scale
    states = {
        name: (np.zeros(len(weights[name][1])), np.zeros(len(weights[name][1])))
        for name in ("recognition", "generation", "classification")
    }
    steps = {}
    prediction = None
    for time, vector in enumerate(normalized):
        seen = select(vector, prediction) if attention else [1.0] * len(vector)
        x = np.array(
            [
                true if weight == 1.0 else prediction[index]
                for index, (true, weight) in enumerate(zip(vector, seen, strict=True))
            ]
        )
        states["recognition"] = lstm(x, *states["recognition"], *weights["recognition"])
        hidden = states["recognition"][0] * (1.0 if keep is None else keep[0][time])
        latent_mean, latent_log_variance = gaussian(hidden, *weights["latent"])
        z = latent_mean
        if noise is not None:
            z = z + np.exp(latent_log_variance / 2) * noise[time]
        states["generation"] = lstm(z, *states["generation"], *weights["generation"])
        hidden = states["generation"][0] * (1.0 if keep is None else keep[1][time])
        mean, log_variance = gaussian(hidden, *weights["next_input"])
        prediction = mean
        states["classification"] = lstm(z, *states["classification"], *weights["classification"])
        kernel, bias = weights["classifier"]
        for name, value in (
            ("attention", seen),
            ("prediction_mean", mean),
            ("prediction_log_variance", log_variance),
            ("latent_mean", latent_mean),
            ("latent_log_variance", latent_log_variance),
            ("step_logits", states["classification"][0] @ kernel + bias),
            ("normalized", vector),
        ):
            steps.setdefault(name, []).append(value)
    outputs = {name: np.array(values) for name, values in steps.items()}
    return {**outputs, "logits": outputs["step_logits"][-1]}


def log_normal(value, mean, log_variance):
    """Logarithm of the density of a normal distribution."""
    variance = math.exp(log_variance)
    return -0.5 * (math.log(2 * math.pi * variance) + (value - mean) ** 2 / variance)


def divergence(mean, log_variance):
    """KL(N(mean, variance) || N(0, 1))."""
    variance = math.exp(log_variance)
    return 0.5 * (variance + mean**2 - 1.0) - math.log(math.sqrt(variance))


def cross_entropy(target, logits):
    powers = np.exp(logits - logits.max())
    chances = powers / powers.sum()
    return -sum(share * math.log(chance) for share, chance in zip(target, chances, strict=True))


def terms(outputs, target, weight=1.0, smoothing=0.0, scales=(1.0, 50.0, 1.0), label_time="every"):
    """Eq. (5) of one utterance, negated: the three terms."""
    target = (1 - smoothing) * np.asarray(target, float) + smoothing / len(target)
    generation = classification = kl = 0.0
    steps = len(outputs["normalized"])
    for time in range(steps):
        if time + 1 < steps:
            for value, mean, log_variance in zip(
                outputs["normalized"][time + 1],
                outputs["prediction_mean"][time],
                outputs["prediction_log_variance"][time],
                strict=True,
            ):
                generation -= log_normal(value, mean, log_variance)
        if label_time == "every" or time == steps - 1:
            classification += weight * cross_entropy(target, outputs["step_logits"][time])
        for mean, log_variance in zip(
            outputs["latent_mean"][time], outputs["latent_log_variance"][time], strict=True
        ):
            kl += divergence(mean, log_variance)
    return {
        "generation": scales[0] * generation,
        "classification": scales[1] * classification,
        "kl": scales[2] * kl,
    }


def sampled_share(utterances, classes, emotion, first=True):
    """utterances: W (T, dim) of each. Mean over those of one emotion, Table 2."""
    shares = []
    for weights, label in zip(utterances, classes, strict=True):
        windows = [sum(row) / len(row) for row in (weights if first else weights[1:])]
        if label == emotion and windows:
            shares.append(sum(windows) / len(windows))
    return sum(shares) / len(shares) if shares else math.nan


def mean_pattern(utterances, classes, emotion):
    """Mean W of all windows of one emotion, Fig. 2."""
    rows = [
        row for w, label in zip(utterances, classes, strict=True) for row in w if label == emotion
    ]
    return sum(rows) / len(rows)
