import dataclasses
import shutil

import numpy as np
import pytest

from pipeline.statistics.combiners import total
from pipeline.statistics.summary import (
    Shard,
    clipping_ratio,
    silence_ratio,
    summarize_shard,
    summarize_utterance,
)
from ser_keras.audio import read_audio, write_wav
from ser_keras.data.example import decode_example, encode_example
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.record_files import frame_record, read_framed
from ser_keras.errors import SchemaError
from tests.memory import growth


@pytest.fixture
def shard(build, corpus):
    """The first shard of the small corpus with its recordings, and the set that it is of."""
    feature_set = FeatureSet.open(build(num_shards=2))
    name = feature_set.rows[0].shard
    rows = tuple(row for row in feature_set.rows if row.shard == name)
    recordings = {
        row.key: str(path) for row in rows for path in corpus.rglob("*.wav") if is_of(path, row)
    }
    return Shard(0, str(feature_set.path / name), rows, recordings), feature_set


def is_of(path, row):
    return row.key.endswith(path.relative_to(path.parents[1]).with_suffix("").as_posix())


def test_silence_is_what_is_far_below_the_loudest_block():
    rng = np.random.default_rng(0)
    speech = rng.normal(0, 0.1, 16000)
    assert silence_ratio(speech) == 0
    assert silence_ratio(np.concatenate([speech, 1e-4 * speech])) == 0.5
    # What matters is the distance, not the level.
    assert silence_ratio(0.01 * np.concatenate([speech, 1e-4 * speech])) == 0.5


def test_clipping_is_what_is_at_full_scale(tmp_path):
    tone = np.sin(np.arange(48000) / 20)
    write_wav(tmp_path / "clipped.wav", 3 * tone, 48000)
    write_wav(tmp_path / "loud.wav", 0.98 * tone, 48000)
    share = np.mean(np.abs(3 * tone) >= 1)
    assert clipping_ratio(read_audio(tmp_path / "clipped.wav")) == pytest.approx(share, abs=0.05)
    assert clipping_ratio(read_audio(tmp_path / "loud.wav")) == 0


def test_a_shard_is_summed_over_its_records(shard):
    first, feature_set = shard
    summary = summarize_shard(first)
    stored = dict(map(decode_example, read_framed(feature_set.path / feature_set.rows[0].shard)))
    frames = np.concatenate([stored[row.key] for row in first.rows])
    assert summary.counts.total() == len(first.rows) == len(stored)
    assert summary.frames == len(frames)
    np.testing.assert_allclose(summary.features.mean, frames.mean(axis=0, dtype=float), rtol=1e-9)
    np.testing.assert_allclose(summary.features.std, frames.std(axis=0, dtype=float), rtol=1e-6)
    longest = max(first.rows, key=lambda row: row.duration_s)
    assert summary.duration_s.highest == (longest.duration_s, longest.key)
    assert summary.silence_ratio is not None
    assert summary.silence_ratio.moments.count[0] == len(first.rows)
    assert not summary.unmeasured


def test_recordings_that_are_not_what_features_were_made_from_do_not_count(shard):
    first, _ = shard
    replaced, source, gone = sorted(first.recordings.values())[:3]
    shutil.copy(source, replaced)
    summary = summarize_shard(
        dataclasses.replace(
            first, recordings={k: p for k, p in first.recordings.items() if p != gone}
        )
    )
    assert summary.unmeasured == {"changed": 1, "missing": 1}
    assert summary.silence_ratio is not None
    assert summary.silence_ratio.moments.count[0] == len(first.rows) - 2
    assert summary.counts.total() == len(first.rows)


def test_nothing_is_measured_without_recordings(shard):
    summary = summarize_shard(dataclasses.replace(shard[0], recordings={}))
    assert summary.silence_ratio is None
    assert not summary.unmeasured
    assert summary.to_dict()["clipping_ratio"] is None


def test_values_that_are_not_finite_are_counted(shard):
    row = shard[0].rows[0]
    features = np.array([[1.0, np.nan], [3.0, np.inf]], np.float32)
    written = total([summarize_utterance(row, features, {})] * 2).to_dict()["features"]
    assert written == {"not_finite": 4, "mean": [2.0, 0.0], "std": [1.0, 0.0]}


def test_tables_are_of_each_column_and_of_labels_by_speaker(shard):
    rows = [
        dataclasses.replace(shard[0].rows[0], label=label, speaker=speaker, gender=gender)
        for label, speaker, gender in (("sad", "b", ""), ("angry", "a", "female"), ("sad", "a", ""))
    ]
    summary = total(summarize_utterance(row, np.ones((1, 1)), {}) for row in rows)
    counts = summary.to_dict()["counts"]
    assert counts["label"] == {"angry": 1, "sad": 2}
    assert counts["speaker"] == {"a": 2, "b": 1}
    assert counts["gender"] == {"": 2, "female": 1}
    assert counts["label of speaker"] == {"a": {"angry": 1, "sad": 1}, "b": {"sad": 1}}


def test_a_shard_that_does_not_fit_its_index_is_refused(shard):
    first, _ = shard
    with pytest.raises(SchemaError, match="found a record 'manifest/"):
        summarize_shard(dataclasses.replace(first, rows=first.rows[1:]))
    more = dataclasses.replace(first.rows[0], key="manifest/other")
    with pytest.raises(SchemaError, match="found no record 'manifest/other'"):
        summarize_shard(dataclasses.replace(first, rows=(*first.rows, more)))


def test_memory_of_a_summary_hardly_grows_with_the_records(shard, tmp_path):
    row = shard[0].rows[0]
    rows = tuple(dataclasses.replace(row, key=f"manifest/{number}") for number in range(300))
    frames = np.ones((3, 40), np.float32)

    def summarize(count):
        path = tmp_path / f"{count}.tfrecord"
        if not path.exists():
            records = [frame_record(encode_example(row, frames)) for row in rows[:count]]
            path.write_bytes(b"".join(map(b"".join, records)))
        return summarize_shard(Shard(0, str(path), rows[:count], {}))

    peak, held = growth(summarize, 100, 300)
    assert peak < 500
    assert held < 100
