"""The search for near copies finds what comparing all pairs finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras.audit.near_copies import distances_db, near_groups
from tests.memory import growth
from tests.reference import duplicates as reference


def fingerprints(rng, count):
    """Levels in quarters of a dB that move as smoothly in time and across bands as speech does."""
    steps = rng.normal(0, 30, (count, 32, 4)).cumsum(axis=1)
    smooth = 70 + steps - steps.mean(axis=1, keepdims=True) + rng.normal(0, 15, (count, 1, 4))
    return quantised(smooth)


def quantised(levels):
    return np.round(np.clip(levels, 0, 255)).astype(np.uint8)


def later(values, segments):
    """The same recordings with another centre, up to a segment away."""
    places = np.clip(np.arange(32) + segments, 0, 31)
    low = np.floor(places).astype(int)
    share = (places - low)[:, None]
    return quantised((1 - share) * values[:, low] + share * values[:, np.minimum(low + 1, 31)])


def groups_of(values):
    numbers = near_groups(values)
    rows = [tuple(np.flatnonzero(numbers == number).tolist()) for number in np.unique(numbers)]
    return [group for group in rows if len(group) > 1]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    copies=st.integers(0, 3),
    noise_db=st.floats(0, 2.5),
    lag=st.floats(-1.2, 1.2),
    level_db=st.floats(-2.5, 2.5),
)
def test_the_groups_are_those_of_comparing_all_pairs(seed, count, copies, noise_db, lag, level_db):
    rng = np.random.default_rng(seed)
    values = fingerprints(rng, count)
    changed = [
        quantised(later(values, lag) + 4 * level_db + rng.normal(0, 4 * noise_db, values.shape))
        for _ in range(copies)
    ]
    every = rng.permutation(np.concatenate([values, *changed]))
    assert groups_of(every) == reference.near_groups(every)


def test_few_pairs_at_the_limit_escape():
    rng = np.random.default_rng(0)
    values = fingerprints(rng, 400)
    noise = rng.normal(0, 1, values.shape)
    noise *= 4 * 1.8 / np.sqrt(np.mean(noise[:, 2:30] ** 2, axis=(1, 2), keepdims=True))
    every = np.concatenate([values, quantised(values + noise)])
    expected = reference.near_groups(every)
    assert len(expected) > 300
    assert groups_of(every) == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lag=st.floats(-1, 1), noise_db=st.floats(0, 10))
def test_distances_have_no_rounding_where_they_are_near(seed, lag, noise_db):
    rng = np.random.default_rng(seed)
    first = fingerprints(rng, 5)
    second = quantised(later(first, lag) + rng.normal(0, 4 * noise_db, first.shape))
    expected = [
        reference.distances_db(one / 4, other[None] / 4)[0]
        for one, other in zip(first, second, strict=True)
    ]
    near = np.array(expected) < 3
    distances = distances_db(first, second)
    assert distances[near].tolist() == np.array(expected)[near].tolist()
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_equal_fingerprints_are_one_group(value):
    assert near_groups(np.full((3, 32, 4), value, np.uint8)).tolist() == [0, 0, 0]
    assert near_groups(np.full((1, 32, 4), value, np.uint8)).tolist() == [0]
    assert near_groups(np.empty((0, 32, 4), np.uint8)).tolist() == []


def test_large_groups_are_joined_without_comparing_all_their_pairs(monkeypatch):
    from ser_keras.audit import near_copies

    compared = []

    def counting(first, second):
        compared.append(len(first))
        return distances_db(first, second)

    monkeypatch.setattr(near_copies, "distances_db", counting)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 2, (3000, 32, 4))
    groups = near_groups(quantised(np.tile(fingerprints(rng, 3), (1000, 1, 1)) + noise))
    assert groups.tolist() == [0, 1, 2] * 1000
    assert sum(compared) < 10 * len(groups)


def test_memory_for_a_recording_is_a_small_part_of_the_fingerprints_of_all():
    values = fingerprints(np.random.default_rng(2), 6000)
    peak, held = growth(lambda count: near_groups(values[:count]), 2000, 6000)
    assert peak < 4000
    assert held < 16
