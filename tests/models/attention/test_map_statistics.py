"""Entropy, total variation and correlation of maps, against loops written from the definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.errors import SchemaError
from ser_keras.models.attention.map_statistics import (
    correlation,
    describe_maps,
    divergence_from_time,
    mean_description,
    normalized_entropy,
    total_variation,
)

WEIGHTS = st.lists(st.floats(1e-3, 5.0), min_size=3, max_size=12)


def naive_entropy(weights):
    total, entropy = sum(weights), 0.0
    for weight in weights:
        share = weight / total
        if share > 0:
            entropy -= share * math.log(share)
    return entropy / math.log(len(weights))


def naive_variation(weights):
    mean, steps = sum(weights) / len(weights), 0.0
    for number in range(1, len(weights)):
        steps += abs(weights[number] / mean - weights[number - 1] / mean)
    return steps / (len(weights) - 1)


def naive_correlation(one, other):
    count = len(one)
    first, second = sum(one) / count, sum(other) / count
    above = sum((a - first) * (b - second) for a, b in zip(one, other, strict=True))
    spread = sum((a - first) ** 2 for a in one) * sum((b - second) ** 2 for b in other)
    return above / math.sqrt(spread)


@given(weights=WEIGHTS, scale=st.floats(0.1, 50))
def test_entropy_and_variation_are_the_definitions_at_any_scale(weights, scale):
    scaled = scale * np.array(weights)
    assert normalized_entropy(scaled) == pytest.approx(naive_entropy(weights), abs=1e-9)
    assert total_variation(scaled) == pytest.approx(naive_variation(weights), rel=1e-6, abs=1e-9)


@given(seed=st.integers(0, 9999), frames=st.integers(3, 30))
def test_correlation_is_pearson_s(seed, frames):
    one, other = np.random.default_rng(seed).uniform(0.1, 2.0, size=(2, frames))
    assert correlation(one, other) == pytest.approx(naive_correlation(one, other), abs=1e-9)


def test_utterances_of_different_length_compare():
    short = np.array([1.0, 3.0] * 10)
    long = np.array([1.0, 3.0] * 100)
    assert total_variation(short) == pytest.approx(total_variation(long))
    assert normalized_entropy(np.ones(7)) == normalized_entropy(np.ones(700)) == pytest.approx(1)
    # Half of the frames share all of the weight.
    half = normalized_entropy(np.repeat([0.0, 1.0], 32))
    assert half == pytest.approx(math.log(32) / math.log(64))


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0], [0.5, -0.1, 0.6]])
def test_what_is_not_defined_is_nan(weights):
    assert np.isnan(normalized_entropy(np.array(weights)))


def test_constant_maps_have_no_correlation():
    constant = np.full(9, 1 / 9)
    assert np.isnan(correlation(constant, np.arange(9.0)))
    assert np.isnan(total_variation(np.zeros(4)))
    with pytest.raises(SchemaError, match=r"expected \(\.\.\., frames\)"):
        total_variation(np.zeros((2, 0)))


def naive_divergence(weights, edges, spans):
    mass, time = [], []
    for start, end in spans:
        weight = seconds = 0.0
        for number, value in enumerate(weights):
            inside = min(end, edges[number + 1]) - max(start, edges[number])
            if inside > 0:
                weight += value * inside
                seconds += inside
        mass.append(weight)
        time.append(seconds)
    shares = [value / sum(mass) for value in mass]
    even = [value / sum(time) for value in time]
    return sum(p * math.log(p / q) for p, q in zip(shares, even, strict=True) if p > 0)


@given(seed=st.integers(0, 9999))
def test_divergence_compares_each_span_s_weight_with_its_duration(seed):
    rng = np.random.default_rng(seed)
    weights, edges = rng.uniform(0, 2, 40), 0.5 + 0.02 * np.arange(41)
    cuts = np.sort(rng.uniform(0.55, 1.25, 6))
    spans = np.stack([cuts[:-1], cuts[1:]], axis=1)[::2]
    expected = naive_divergence(weights.tolist(), edges.tolist(), spans.tolist())
    assert divergence_from_time(weights, edges, spans) == pytest.approx(expected, abs=1e-9)
    assert divergence_from_time(np.ones(40), edges, spans) == pytest.approx(0, abs=1e-12)


def test_divergence_leaves_out_what_is_in_no_frame_or_has_no_weight():
    edges, weights = np.array([0.0, 1.0, 2.0]), np.array([1.0, np.nan])
    assert divergence_from_time(weights, edges, np.array([[0.0, 1.0], [5.0, 6.0]])) == 0.0
    assert np.isnan(divergence_from_time(weights, edges, np.array([[1.0, 2.0]])))
    assert np.isnan(divergence_from_time(weights, edges, np.zeros((0, 2))))


def test_maps_of_moma_are_described_one_by_one_and_in_pairs():
    rng = np.random.default_rng(3)
    first, blocks = rng.uniform(0.1, 1, 20), rng.uniform(0.1, 1, (3, 20))
    gamma = np.array([0.2, 0.9, 0.4])
    maps = {"attention_layer1": first, "attention_blocks": blocks, "attention": gamma @ blocks}
    described = describe_maps(maps)
    assert list(described["maps"]) == ["layer 1", "block 1", "block 2", "block 3", "mixture"]
    mixture = [sum(g * b for g, b in zip(gamma, column, strict=True)) for column in blocks.T]
    assert described["maps"]["mixture"]["total_variation"] == pytest.approx(
        naive_variation(mixture), abs=1e-6
    )
    assert described["maps"]["block 2"]["entropy"] == pytest.approx(
        naive_entropy(blocks[1].tolist()), abs=1e-6
    )
    pairs = [naive_correlation(blocks[i], blocks[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    pairwise = described["correlations"]
    assert [
        pairwise[f"block {i}, block {j}"] for i, j in ((1, 2), (1, 3), (2, 3))
    ] == pytest.approx(pairs, abs=1e-6)
    assert pairwise["blocks, absolute"] == pytest.approx(sum(map(abs, pairs)) / 3, abs=1e-6)
    assert pairwise["layer 1, mixture"] == pytest.approx(
        naive_correlation(first, mixture), abs=1e-6
    )


def test_other_models_have_one_map_and_segments_are_averaged():
    parts = [describe_maps({"attention": np.array(row)}) for row in ([1.0, 3.0], [1.0, 1.0])]
    assert list(parts[0]["maps"]) == ["attention"]
    mean = mean_description(parts)["maps"]["attention"]
    assert mean["total_variation"] == pytest.approx((naive_variation([1, 3]) + 0) / 2)
    assert "correlations" not in parts[0]
