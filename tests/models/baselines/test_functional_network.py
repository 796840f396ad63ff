"""The dense network on functionals against a naive one in NumPy, blind and adapted."""

import numpy as np
import pytest

from ser_keras.errors import ConfigError
from ser_keras.models import build_model
from ser_keras.models.speaker_head import PRIOR_UTTERANCES

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
        "embedding_statistics": statistics(UNITS),
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
    """The logits of one utterance."""
    weights = {weight.path: np.asarray(weight) for weight in model.weights}
    x = inputs["functionals"][row] - weights["functional_normalizer/offset"]
    x = x * weights["functional_normalizer/scale"]
    x = adapted(x, inputs["functional_statistics"][row], PRIOR_UTTERANCES)
    x = np.clip(x, -6, 6) @ weights["functional_dense/kernel"]
    mean, variance = (weights[f"embedding/moving_{name}"] for name in ("mean", "variance"))
    x = (x - mean) / np.sqrt(variance + EPSILON)
    x = adapted(x, inputs["embedding_statistics"][row], PRIOR_UTTERANCES)
    x = x * weights["embedding/gamma"] + weights["embedding/beta"]
    return np.maximum(x, 0) @ weights["classifier/kernel"] + weights["classifier/bias"]


@pytest.mark.parametrize("known", [0.0, 3.0])
def test_the_network_equals_the_reference(model, known):
    inputs = inputs_of(0, known)
    outputs = model.predict_on_batch(inputs)
    for row in range(len(LENGTHS)):
        expected = logits_of(model, inputs, row)
        np.testing.assert_allclose(outputs["logits"][row], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("speaker", [None, {}, {"functionals": 0}])
def test_a_network_without_functionals_is_refused(speaker):
    with pytest.raises(ConfigError, match=r"expected the size of its functionals, as in speaker"):
        build_model("functional_network", num_classes=3, dim=DIM, speaker=speaker)


def test_an_unknown_size_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="functional_units"):
        network(functional_unit=3)
