"""What was looked at, counted by emotion, against its NumPy reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.errors import SchemaError
from ser_keras.models.attention.emergent import (
    PUBLISHED,
    compare_claims,
    pattern_similarity,
    sampled_share,
)
from tests.harness import batch_of
from tests.reference import predictive_vrnn as reference

CLASSES = 3


@st.composite
def sampled_batches(draw):
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    rows = [rng.integers(0, 2, size=(length, 5)) for length in lengths]
    for row in rows:
        row[:, 0] = 1  # one at least is salient
    return rows, rng.integers(0, 3, size=len(rows))


@given(batch=sampled_batches(), first=st.booleans())
def test_sampled_share_and_similarity_equal_the_definitions(batch, first):
    rows, classes = batch
    padded = batch_of([row.astype("float32") for row in rows], extra=1)
    arguments = (padded["features"], padded["mask"], classes, CLASSES)
    shares = sampled_share(*arguments, count_first=first)
    expected = [
        reference.sampled_share(rows, classes, emotion, first) for emotion in range(CLASSES)
    ]
    np.testing.assert_allclose(shares, expected, rtol=1e-6)

    similarity = pattern_similarity(*arguments)
    for one in range(CLASSES):
        for other in range(CLASSES):
            if not {one, other} <= set(classes.tolist()):
                assert np.isnan(similarity[one, other])
                continue
            a, b = (reference.mean_pattern(rows, classes, emotion) for emotion in (one, other))
            cosine = abs(a @ b) / (np.sqrt(a @ a) * np.sqrt(b @ b))
            assert similarity[one, other] == pytest.approx(cosine)


def test_the_first_window_makes_emotions_more_alike():
    attention = np.array([[[1, 1], [1, 0]], [[1, 1], [0, 1]]])
    mask = np.ones((2, 2), bool)
    arguments = (attention, mask, np.array([0, 1]), 2)
    assert pattern_similarity(*arguments)[0, 1] == pytest.approx(0.8)
    assert pattern_similarity(*arguments, count_first=False)[0, 1] == 0.0


@pytest.mark.parametrize("function", [sampled_share, pattern_similarity])
def test_arrays_that_do_not_belong_together_are_refused(function):
    attention, mask = np.ones((2, 3, 4)), np.ones((2, 3), bool)
    with pytest.raises(SchemaError, match=r"expected \(utterances, frames, dim\)"):
        function(attention, mask, np.array([0]), 2)
    with pytest.raises(SchemaError, match="expected 0 to 1"):
        function(attention, mask, np.array([0, 2]), 2)


@pytest.mark.parametrize(("corpus", "size"), [("ravdess", 8), ("iemocap", 4)])
def test_published_averages_are_the_means_of_the_published_shares(corpus, size):
    published = PUBLISHED[corpus]
    shares = list(published.share.values())
    assert len(shares) == size
    assert sum(shares) / size == pytest.approx(published.mean_share, abs=5e-4)
    # The text below the table names its smallest value.
    assert published.share[published.least_sampled] == min(shares)


@pytest.mark.parametrize(
    ("to_neutral", "ours", "holds"),
    [
        ((1.0, 0.9, 0.7, 0.8), "neutral is most similar to calm and least to surprised", True),
        ((1.0, 0.9, 0.8, 0.7), "neutral is most similar to calm and least to angry", False),
        ((1.0, 0.7, 0.8, 0.9), "neutral is most similar to angry and least to calm", False),
        ((1.0, 0.9, 0.8, None), "neutral is most similar to calm and least to surprised", True),
    ],
)
def test_a_claim_holds_where_both_neighbours_are_the_paper_s(to_neutral, ours, holds):
    classes = ["neutral", "calm", "surprised", "angry"]
    table = {"share": dict.fromkeys(classes, 0.5), "similarity": [to_neutral]}
    claim = compare_claims(PUBLISHED["ravdess"], classes, table)[0]
    assert claim["claim"] == "neutral is most similar to calm and least to surprised"
    assert (claim["ours"], claim["holds"]) == (ours, holds)


def test_claims_about_emotions_that_are_not_there_are_left_out():
    table = {"share": {"neutral": 0.4, "sad": None}, "similarity": [[1.0, None], [None, None]]}
    assert compare_claims(PUBLISHED["ravdess"], ["neutral", "sad"], table) == []
