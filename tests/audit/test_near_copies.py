"""The search for near copies finds what comparing all pairs finds."""

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_keras import audit
from ser_keras.audio import read_audio
from ser_keras.audit.duplicates import has_shape, values_of
from ser_keras.audit.near_copies import distances_db, near_groups
from ser_keras.corpora import read_corpus
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
    count=st.integers(0, 40),
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


def test_shape_is_the_movement_of_each_band_between_beginning_and_end_of_the_sound():
    rng = np.random.default_rng(3)
    values = quantised(60 + rng.normal(0, 12, (2000, 32, 4)))
    for recording in values:
        recording[rng.integers(0, 33) :] = 0
        recording[:, rng.random(4) < 0.2] = 0
    shapes = has_shape(values)
    assert shapes.tolist() == [reference.movement_db(recording) > 3 for recording in values]
    assert 0.1 < shapes.mean() < 0.9


def recoded(path, target, *options):
    command = ["ffmpeg", "-y", "-v", "error", "-i", path, *options, target]
    subprocess.run(command, check=True)
    return target


# From the weakest coding in which all copies are near to codings that some do not survive.
CODINGS = {
    "copy.mp3": ("-b:a", "32k"),
    "copy.ogg": ("-c:a", "libvorbis", "-q:a", "0"),
    "copy.opus": ("-c:a", "libopus", "-b:a", "12k"),
    "copy.wav": ("-ar", "8000", "-c:a", "pcm_mulaw"),
}


@pytest.mark.realdata
@pytest.mark.slow
def test_ravdess_has_the_groups_of_comparing_all_pairs(real_data):
    utterances = read_corpus("ravdess", real_data / "ravdess")[::3]
    values = values_of([row.fingerprint for row in audit.rows_of(utterances)])
    louder = [audit.fingerprint(2.5 * read_audio(u.path)) for u in utterances[::4]]
    noise = np.random.default_rng(0).normal(0, 4 * 1.9, values[::2].shape)
    for copies in (values[:0], values, values_of(louder), quantised(values[::2] + noise)):
        every = np.concatenate([values, copies])
        assert groups_of(every) == reference.near_groups(every)


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("name", CODINGS)
def test_recoded_ravdess_has_the_groups_of_comparing_all_pairs(real_data, tmp_path, name):
    paths = [u.path for u in read_corpus("ravdess", real_data / "ravdess")][::24]
    copies = (recoded(path, tmp_path / name, *CODINGS[name]) for path in paths)
    prints = [audit.fingerprint(read_audio(path)) for path in paths]
    values = values_of([*prints, *(audit.fingerprint(read_audio(path)) for path in copies)])
    groups = groups_of(values)
    assert groups == reference.near_groups(values)
    assert len(groups) > 0.9 * len(paths)
