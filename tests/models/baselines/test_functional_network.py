"""The dense network on functionals against a naive one in NumPy, blind and adapted."""

import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model
from ser_keras.models.speaker_head import PRIOR_FRAMES, PRIOR_UTTERANCES

DIM, FUNCTIONALS, UNITS = 4, 7, 5
EPSILON = 1e-3
LENGTHS = (9, 1, 6)


def network(**speaker):
    sizes = {"functionals": FUNCTIONALS, "functional_units": UNITS, **speaker}
    return build_model("functional_network", num_classes=3, dim=DIM, speaker=sizes)


@pytest.fixture
def model():
    model = network()
    rng = np.random.default_rng(5)
    values = [rng.uniform(0.2, 1.0, weight.shape) for weight in model.weights]
    model.set_weights(
        [value.astype(weight.dtype) for value, weight in zip(values, model.weights, strict=True)]
    )
    return model


def inputs_of(seed, known=0.0):
    """Returns utterances with the statistics of `known` frames and utterances of a speaker."""
    rng = np.random.default_rng(seed)

    def statistics(dim):
        mean = rng.normal(size=dim)
        squares = mean**2 + rng.uniform(0.5, 2.0, dim)
        row = np.concatenate([[known], mean * (known > 0), squares * (known > 0)])
        return np.tile(row, (len(LENGTHS), 1)).astype(np.float32)

    features = rng.normal(size=(len(LENGTHS), max(LENGTHS), DIM)).astype(np.float32)
    return {
        "features": features,
        "mask": np.arange(max(LENGTHS))[None] < np.array(LENGTHS)[:, None],
        "speaker": np.full(len(LENGTHS), -1, np.int32),
        "functionals": rng.normal(size=(len(LENGTHS), FUNCTIONALS)).astype(np.float32),
        "frame_statistics": statistics(DIM),
        "functional_statistics": statistics(FUNCTIONALS),
        "embedding_statistics": statistics(2 * DIM),
    }


def adapted(values, statistics, prior):
    """The speaker's moments count as n utterances or frames, those of the training as `prior`."""
    share = statistics[0] / (statistics[0] + prior)
    own_mean, own_square = np.split(statistics[1:], 2)
    mean = share * own_mean
    around_mean = own_square - own_mean**2 + (own_mean - mean) ** 2
    variance = share * around_mean + (1 - share)
    return (values - mean) / np.sqrt(variance + EPSILON)


def logits_of(model, inputs, row):
    """The logits of one utterance, from its real frames alone."""
    weights = {weight.path: np.asarray(weight) for weight in model.weights}

    def standard(values, layer):
        return (values - weights[f"{layer}/offset"]) * weights[f"{layer}/scale"]

    frames = standard(inputs["features"][row, : LENGTHS[row]], "normalizer")
    frames = adapted(frames, inputs["frame_statistics"][row], PRIOR_FRAMES)
    scores = np.exp(frames @ weights["attention/score/kernel"])
    shares = scores / scores.sum()
    mean = (shares * frames).sum(axis=0)
    deviation = np.sqrt((shares * (frames - mean) ** 2).sum(axis=0))
    pooled = np.concatenate([mean, deviation])
    moving_mean, moving_variance = (
        weights[f"embedding/moving_{name}"] for name in ("mean", "variance")
    )
    pooled = (pooled - moving_mean) / np.sqrt(moving_variance + EPSILON)
    pooled = adapted(pooled, inputs["embedding_statistics"][row], PRIOR_UTTERANCES)
    pooled = pooled * weights["embedding/gamma"] + weights["embedding/beta"]
    side = standard(inputs["functionals"][row], "functional_normalizer")
    side = adapted(side, inputs["functional_statistics"][row], PRIOR_UTTERANCES)
    side = np.clip(side, -6, 6) @ weights["functional_dense/kernel"]
    norm = {name: weights[f"functional_batch_norm/{name}"] for name in ("gamma", "beta")}
    mean, variance = (weights[f"functional_batch_norm/moving_{x}"] for x in ("mean", "variance"))
    side = (side - mean) / np.sqrt(variance + EPSILON) * norm["gamma"] + norm["beta"]
    vector = np.concatenate([pooled, np.maximum(side, 0)])
    return vector @ weights["classifier/kernel"] + weights["classifier/bias"]


@pytest.mark.parametrize("known", [0.0, 3.0])
def test_the_network_equals_the_reference_without_padding(model, known):
    inputs = inputs_of(0, known)
    inputs["features"][~inputs["mask"]] = 1e3
    outputs = model.predict_on_batch(inputs)
    for row in range(len(LENGTHS)):
        expected = logits_of(model, inputs, row)
        np.testing.assert_allclose(outputs["logits"][row], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(outputs["attention"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("speaker", [None, {}, {"functionals": 0}])
def test_a_network_without_functionals_is_refused(speaker):
    with pytest.raises(ConfigError, match=r"expected the size of its functionals, as in speaker"):
        build_model("functional_network", num_classes=3, dim=DIM, speaker=speaker)


def test_an_unknown_size_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="functional_units"):
        network(functional_unit=3)
