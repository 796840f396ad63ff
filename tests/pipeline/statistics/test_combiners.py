import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.statistics.combiners import Distribution, Moments, OrderedSumFn, rounded, total

EDGES = np.linspace(-2, 2, 9)
# As features are stored; NaN and infinities among them.
FLOATS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
BLOCKS = st.lists(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 7), st.just(3)), elements=FLOATS),
    min_size=1,
    max_size=8,
)


def naive(blocks):
    """Count, mean and deviation of each column of all finite values, in two passes."""
    results = []
    for column in np.concatenate(blocks).astype(np.longdouble).T:
        values = column[np.isfinite(column)]
        mean = values.sum() / len(values) if len(values) else 0.0
        spread = np.sqrt(((values - mean) ** 2).sum() / len(values)) if len(values) else 0.0
        results.append((len(values), float(mean), float(spread)))
    return [np.array(column) for column in zip(*results, strict=True)]


def grouped(summaries, data):
    """Adds neighbours up in an order that hypothesis chooses, until one is left."""
    summaries = list(summaries)
    while len(summaries) > 1:
        index = data.draw(st.integers(0, len(summaries) - 2))
        summaries[index : index + 2] = [summaries[index] + summaries[index + 1]]
    return summaries[0]


@given(blocks=BLOCKS, data=st.data())
def test_moments_are_those_of_all_values_however_they_are_grouped(blocks, data):
    order = data.draw(st.permutations(blocks))
    moments = grouped(map(Moments.of, order), data)
    count, mean, std = naive(blocks)
    scale = np.abs(np.nan_to_num(np.concatenate(blocks), nan=0, posinf=0, neginf=0)).max() + 1e-12
    np.testing.assert_array_equal(moments.count, count)
    assert moments.not_finite == sum(int((~np.isfinite(block)).sum()) for block in blocks)
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-9, atol=1e-9 * scale)
    # A deviation is the root of a difference: nearly equal values lose half of their digits.
    np.testing.assert_allclose(moments.std, std, rtol=1e-9, atol=1e-8 * scale)


def test_moments_keep_their_digits_far_from_zero():
    values = 1e6 + np.random.default_rng(0).normal(size=(30000, 1)).astype(np.float32)
    moments = total(Moments.of(block) for block in np.array_split(values, 100))
    assert moments.std[0] == pytest.approx(values.astype(np.longdouble).std(), rel=1e-9)


@given(values=st.lists(FLOATS, min_size=1, max_size=30), data=st.data())
def test_a_distribution_counts_every_finite_value_once(values, data):
    keyed = [(value, f"k{number:02}") for number, value in enumerate(values)]
    single = [Distribution.of(*pair, EDGES) for pair in data.draw(st.permutations(keyed))]
    distribution = grouped(single, data)
    finite = [pair for pair in keyed if np.isfinite(pair[0])]
    inside = np.clip([value for value, _ in finite], EDGES[0], np.nextafter(EDGES[-1], 0))
    np.testing.assert_array_equal(distribution.counts, np.histogram(inside, EDGES)[0])
    assert distribution.lowest == min(finite, default=None)
    assert distribution.highest == min(finite, key=lambda pair: (-pair[0], pair[1]), default=None)


@given(number=st.integers(1, 40), data=st.data())
def test_numbered_parts_add_up_to_the_same_bits_in_any_order(number, data):
    rng = np.random.default_rng(number)
    parts = [(n, Moments.of(rng.normal(1e4, 1, (3, 2)))) for n in range(number)]
    fn = OrderedSumFn()

    def added(elements):
        accumulator = fn.create_accumulator()
        for element in elements:
            accumulator = fn.add_input(accumulator, element)
        return accumulator

    expected = fn.extract_output(added(parts))
    shuffled = data.draw(st.permutations(parts))
    cut = data.draw(st.integers(0, number))
    summed = fn.extract_output(
        fn.merge_accumulators([added(shuffled[cut:]), added(shuffled[:cut])])
    )
    for name in ("count", "mean", "squares"):
        assert getattr(summed, name).tobytes() == getattr(expected, name).tobytes()


def test_parts_in_sequence_leave_few_roots():
    fn, roots = OrderedSumFn(), {}
    for number in range(1000):
        roots = fn.add_input(roots, (number, 1))
    assert len(roots) == (1000).bit_count()
    assert fn.extract_output(roots) == 1000


def test_beam_adds_numbered_parts_up_in_their_order():
    letters = "speech emotion recognition"
    numbered = list(enumerate(letters))
    random.Random(0).shuffle(numbered)
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        joined = pipeline | beam.Create(numbered) | beam.CombineGlobally(OrderedSumFn())
        assert_that(joined, equal_to([letters]))


def test_what_is_written_down_has_ten_digits():
    assert rounded(np.nextafter(1 / 3, 1)) == rounded(1 / 3) == 0.3333333333
    assert rounded(1.23456789012e-20) == 1.23456789e-20
