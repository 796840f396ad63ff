"""Statistics of a speaker that merge."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.adaptation.moments import merged, moments, unknown


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    dim=st.integers(1, 4),
    offset=st.floats(-100, 100),
)
def test_parts_merge_into_the_statistics_of_all_rows(sizes, dim, offset):
    rng = np.random.default_rng(sum(sizes))
    parts = [offset + rng.normal(size=(size, dim)) for size in sizes]
    rows = np.concatenate(parts)
    expected = [len(rows), *rows.mean(axis=0), *np.square(rows).mean(axis=0)]
    np.testing.assert_allclose(merged([moments(part) for part in parts]), expected, rtol=1e-9)


def test_the_order_of_merging_does_not_matter():
    rng = np.random.default_rng(0)
    parts = [moments(rng.normal(size=(size, 2))) for size in (1, 5, 3)]
    forwards = merged([merged(parts[:2]), parts[2]])
    np.testing.assert_allclose(forwards, merged(parts[::-1]), rtol=1e-12)


def test_nothing_known_adds_nothing():
    row = moments(np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_allclose(merged([row, unknown(2)]), row)
    assert merged([unknown(2), unknown(2)]).tolist() == [0.0] * 5
