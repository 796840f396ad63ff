import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.statistics.drift import drift_between, stability_index
from ser_keras.errors import SchemaError
from tests.pipeline.statistics.example_statistics import example_rows, row, statistics

COUNTS = st.lists(st.integers(0, 500), min_size=12, max_size=12).filter(any)


def test_equal_data_do_not_drift():
    unchanged = statistics(example_rows())
    drift = drift_between(unchanged, unchanged)
    assert drift["label_share_change"] == drift["duration_psi"] == drift["mean_shift"] == 0


def test_the_label_that_changed_most_is_named():
    old = [row(n, "sad" if n < 5 else "angry") for n in range(10)]
    new = [row(n, "sad" if n < 2 else "happy" if n < 3 else "angry") for n in range(10)]
    drift = drift_between(statistics(new), statistics(old))
    assert drift["label_share_change"] == pytest.approx(0.3)
    assert drift["label"] == "sad"


def test_longer_utterances_move_the_index_past_its_limit():
    old = example_rows(200)
    longer = [dataclasses.replace(r, duration_s=1.5 * r.duration_s) for r in old]
    assert drift_between(statistics(longer), statistics(old))["duration_psi"] > 0.25
    half = statistics(old[::2])
    assert drift_between(half, statistics(old))["duration_psi"] < 0.1


def test_a_shift_is_in_deviations_of_the_earlier_data():
    new, old = statistics(example_rows(), shift=1.0), statistics(example_rows())
    spread = old["features"]["std"]
    distance = np.subtract(new["features"]["mean"], old["features"]["mean"]) / spread
    drift = drift_between(new, old)
    assert drift["mean_shift"] == pytest.approx(distance.max())
    assert drift["feature"] == distance.argmax()
    assert 0.9 < drift["mean_shift"] < 1.2


def test_a_feature_that_never_changed_may_not_change():
    old = statistics(example_rows())
    old["features"]["std"][1] = 0.0
    new = statistics(example_rows())
    new["features"]["mean"][1] += 1e-3
    drift = drift_between(new, old)
    assert drift["feature"] == 1
    assert drift["mean_shift"] > 1e6


@pytest.mark.parametrize("difference", [{"spec_name": "mfcc40"}, {"dim": 3}])
def test_features_of_another_spec_cannot_be_compared(difference):
    with pytest.raises(SchemaError, match=f"found features with {next(iter(difference))}"):
        drift_between(statistics(example_rows(), **difference), statistics(example_rows()))


@given(old=COUNTS, new=COUNTS)
def test_the_index_is_finite_never_negative_and_zero_for_equal_shares(old, new):
    assert 0 <= stability_index(new, old) < 20
    assert stability_index([3 * count for count in old], old) == pytest.approx(0, abs=1e-12)


def test_bins_of_a_tenth_give_the_index_of_the_textbook():
    old = [10] * 10
    new = [19, 1, 10, 10, 10, 10, 10, 10, 10, 10]
    p, q = np.array(new) / 100, np.array(old) / 100
    assert stability_index(new, old) == pytest.approx(np.sum((p - q) * np.log(p / q)))


def test_one_utterance_far_out_hardly_counts():
    old = [0, 100, 100, 100, 0, 0]
    assert stability_index([1, 100, 100, 100, 0, 1], old) < 0.001
