"""Statistics of a speaker on the client's side: how they merge, and their files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client.speaker_statistics import Statistics, StatisticsError
from tests.serving.adapted import moments

NAMES = ("embedding_statistics", "frame_statistics")


def statistics(rows, export_id=7):
    return Statistics(export_id, {name: moments(rows * (1 + n)) for n, name in enumerate(NAMES)})


@given(cut=st.integers(1, 9), seed=st.integers(0, 1000))
def test_merged_statistics_are_those_of_all_rows(cut, seed):
    rows = np.random.default_rng(seed).normal(3.0, 2.0, (10, 4))
    merged = statistics(rows[:cut]).merged(statistics(rows[cut:]))
    for name, row in statistics(rows).values.items():
        np.testing.assert_allclose(merged.values[name], row, rtol=1e-12)


def test_statistics_of_different_models_do_not_merge():
    rows = np.ones((2, 3))
    with pytest.raises(StatisticsError, match="found those of models 7 and 8, expected those of"):
        statistics(rows).merged(statistics(rows, export_id=8))


@pytest.mark.parametrize("fault", [np.nan, 0.0, -1.0, np.inf])
def test_values_that_are_no_statistics_are_refused(fault):
    row = moments(np.ones((2, 3)))
    row[0] = fault
    with pytest.raises(StatisticsError, match="frame_statistics: found 7 values with a count of"):
        Statistics(7, {"frame_statistics": row})
    with pytest.raises(StatisticsError, match="found 6 values"):
        Statistics(7, {"frame_statistics": np.ones(6)})


def test_a_file_gives_back_what_was_written(tmp_path):
    written = statistics(np.random.default_rng(0).normal(size=(5, 3)), export_id=2**52 - 1)
    written.write(tmp_path / "anna.npz")
    written.write(tmp_path / "anna.npz")
    read = Statistics.read(tmp_path / "anna.npz")
    assert read.export_id == written.export_id
    assert read.values.keys() == written.values.keys()
    for name in NAMES:
        np.testing.assert_array_equal(read.values[name], written.values[name])
    assert [path.name for path in tmp_path.iterdir()] == ["anna.npz"]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="disk full"):
        statistics(np.ones((2, 3))).write(tmp_path / "anna.npz")
    assert list(tmp_path.iterdir()) == []


def damaged(path, kind):
    if kind == "text":
        path.write_text("statistics of Anna")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "other arrays":
        np.savez(path, frame_statistics=np.ones(3))
    elif kind == "single array":
        with path.open("wb") as stream:
            np.save(stream, np.ones(3))
    else:
        statistics(np.random.default_rng(0).normal(size=(5, 3))).write(path)
        content = path.read_bytes()
        if kind == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:
            start = content.index(b"frame_statistics.npy") + 200
            path.write_bytes(content[:start] + bytes([content[start] ^ 1]) + content[start + 1 :])


@pytest.mark.parametrize(
    "kind", ["missing", "text", "empty", "other arrays", "single array", "cut", "a bit"]
)
def test_a_foreign_or_damaged_file_is_a_sentence(kind, tmp_path):
    path = tmp_path / "anna.npz"
    if kind != "missing":
        damaged(path, kind)
    with pytest.raises(StatisticsError, match=r"anna\.npz: found no"):
        Statistics.read(path)
