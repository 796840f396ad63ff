import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.errors import ConfigError, SchemaError
from ser_keras.features import statistics as module
from ser_keras.features.statistics import FeatureStatistics


def utterances(lengths, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    scale, shift = rng.uniform(0.1, 10, dim), rng.uniform(-100, 100, dim)
    return [(rng.normal(size=(n, dim)) * scale + shift).astype(np.float32) for n in lengths]


@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any))
def test_statistics_equal_those_of_all_frames_at_once(lengths):
    blocks = utterances(lengths)
    together = np.concatenate(blocks).astype(np.float64)
    statistics = FeatureStatistics.fit(iter(blocks))
    assert statistics.count == len(together)
    np.testing.assert_allclose(statistics.mean, together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, together.std(axis=0), rtol=1e-9, atol=1e-12)
    low, high = np.percentile(together, [0.1, 99.9], axis=0)
    np.testing.assert_allclose(statistics.low, low, rtol=1e-6)
    np.testing.assert_allclose(statistics.high, high, rtol=1e-6)


def test_percentiles_of_many_frames_come_from_every_so_many(monkeypatch):
    monkeypatch.setattr(module, "_MOST_FRAMES", 1000)
    blocks = utterances([97] * 100)
    every = FeatureStatistics.fit(blocks)
    low, high = np.percentile(np.concatenate(blocks)[::16], [0.1, 99.9], axis=0)
    np.testing.assert_allclose(every.low, low, rtol=1e-6)
    np.testing.assert_allclose(every.high, high, rtol=1e-6)
    np.testing.assert_allclose(every.mean, np.concatenate(blocks).mean(axis=0), rtol=1e-5)


def test_wide_features_are_sampled_by_values(monkeypatch):
    monkeypatch.setattr(module, "_MOST_VALUES", 300)
    blocks = utterances([50] * 10)
    low, _ = np.percentile(np.concatenate(blocks)[::8], [0.1, 99.9], axis=0)
    np.testing.assert_allclose(FeatureStatistics.fit(blocks).low, low, rtol=1e-6)


def test_large_means_lose_no_digits():
    block = np.array([[1e8], [1e8 + 1], [1e8 + 2]])
    statistics = FeatureStatistics.fit([block] * 50)
    np.testing.assert_allclose(statistics.std, np.sqrt(2 / 3), rtol=1e-9)


def test_the_same_frames_give_the_same_numbers():
    first, second = (FeatureStatistics.fit(utterances([30, 50])).to_dict() for _ in range(2))
    assert first == second


def test_standard_gives_zero_mean_and_unit_deviation():
    frames = np.concatenate(utterances([500]))
    offset, scale = FeatureStatistics.fit([frames]).affine("standard")
    scaled = (frames - offset) * scale
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-4)
    assert (offset.dtype, scale.dtype) == (np.float32, np.float32)


def test_unit_takes_the_percentiles_to_0_and_1():
    frames = np.concatenate(utterances([5000]))
    offset, scale = FeatureStatistics.fit([frames]).affine("unit")
    scaled = (frames - offset) * scale
    np.testing.assert_allclose(np.percentile(scaled, [0.1, 99.9]), [0, 1], atol=0.05)
    assert np.mean((scaled >= 0) & (scaled <= 1)) > 0.99


@pytest.mark.parametrize("kind", ["standard", "unit"])
def test_a_bin_that_never_changes_becomes_zero(kind):
    frames = np.full((100, 2), np.log(np.float32(1e-6)))
    frames[:, 1] = np.arange(100)
    offset, scale = FeatureStatistics.fit([frames[:33], frames[33:]]).affine(kind)
    scaled = (frames - offset) * scale
    np.testing.assert_allclose(scaled[:, 0], 0, atol=1e-5)
    assert np.ptp(scaled[:, 1]) > 0.9


def test_statistics_survive_json():
    statistics = FeatureStatistics.fit(utterances([10, 20]))
    restored = FeatureStatistics.from_dict(json.loads(json.dumps(statistics.to_dict())))
    assert restored.to_dict() == statistics.to_dict()


def test_no_frames_are_refused():
    with pytest.raises(SchemaError, match="found no frames, expected those of the training fold"):
        FeatureStatistics.fit([np.zeros((0, 3), np.float32)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    blocks = utterances([5, 5])
    blocks[1][2, 1] = value
    with pytest.raises(SchemaError, match="not finite"):
        FeatureStatistics.fit(blocks)


@pytest.mark.parametrize("change", [{"mean": None}, {"mean": [1.0]}, {"std": "high"}])
def test_damaged_statistics_are_refused(change):
    values = FeatureStatistics.fit(utterances([10])).to_dict() | change
    with pytest.raises(SchemaError, match="Train again"):
        FeatureStatistics.from_dict(values)


def test_missing_fields_are_refused():
    with pytest.raises(SchemaError, match="expected count, mean, std, low, high"):
        FeatureStatistics.from_dict({"count": 3})


def test_unknown_kinds_suggest_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'standard'"):
        FeatureStatistics.fit(utterances([5])).affine("standart")
