import errno
import os

import numpy as np
import pytest

from pipeline.publishing import staged_output
from pipeline.statistics.file import load_statistics
from pipeline.statistics.job import run_statistics
from ser_keras.data.example import decode_example
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.record_files import read_framed
from ser_keras.errors import ConfigError, CorpusError, SchemaError, SerError
from tests.pipeline.conftest import Steps


def test_the_file_says_what_is_in_the_set(build, corpus, tmp_path):
    feature_set = FeatureSet.open(build(name="mine"))
    statistics = load_statistics(
        run_statistics(feature_set.path, tmp_path / "out", data_dir=corpus)
    )
    records = [decode_example(r) for path in feature_set.shard_paths for r in read_framed(path)]
    frames = np.concatenate([features for _, features in records])
    assert statistics["utterances"] == 24
    assert statistics["frames"] == len(frames)
    assert statistics["counts"]["label"] == {"angry": 12, "sad": 12}
    assert statistics["counts"]["speaker"] == {"anna": 8, "bert": 8, "cleo": 8}
    np.testing.assert_allclose(
        statistics["features"]["mean"], frames.mean(0, dtype=float), rtol=1e-9
    )
    np.testing.assert_allclose(statistics["features"]["std"], frames.std(0, dtype=float), rtol=1e-8)
    assert statistics["duration_s"]["lowest"] == {"value": 0.1, "key": "manifest/anna/angry0"}
    assert statistics["duration_s"]["mean"] == pytest.approx(
        np.mean([r.duration_s for r in feature_set.rows])
    )
    assert statistics["silence_ratio"]["count"] == 24
    assert statistics["data"]["name"] == "mine"
    assert statistics["data"]["fingerprint"] == feature_set.manifest["fingerprint"]
    assert (statistics["dead"], statistics["unheard"]) == ({}, {})


def test_the_newest_set_of_an_output_folder_is_taken(build, tmp_path):
    build()
    statistics = load_statistics(run_statistics(tmp_path / "features", tmp_path / "out"))
    assert statistics["utterances"] == 24
    assert statistics["silence_ratio"] is None


def test_nothing_but_the_file_is_left_and_a_second_run_writes_the_same(build, tmp_path):
    build()
    steps = Steps()
    path = run_statistics(tmp_path / "features", tmp_path / "out", progress=steps)
    first = path.read_bytes()
    assert [child.name for child in path.parent.iterdir()] == ["statistics.json"]
    assert steps == ["statistics", "comparing"]
    assert run_statistics(tmp_path / "features", tmp_path / "out").read_bytes() == first


def test_another_number_of_shards_and_another_place_give_the_same_numbers(build, corpus, tmp_path):
    contents = [
        load_statistics(run_statistics(build(num_shards=shards), tmp_path / str(shards)))
        for shards in (2, 7)
    ]
    for content in contents:
        del content["data"]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "options",
    [
        {"beam_args": ["--direct_num_workers=3", "--direct_running_mode=multi_threading"]},
        {"beam_args": ["--direct_runner_bundle_repeat=2"]},
        pytest.param({"workers": 2}, marks=pytest.mark.slow),
    ],
)
def test_other_workers_and_repeated_bundles_write_the_same_bytes(build, corpus, tmp_path, options):
    path = build()
    expected = run_statistics(path, tmp_path / "one", data_dir=corpus)
    other = run_statistics(path, tmp_path / "other", data_dir=corpus, **options)
    assert expected.read_bytes() == other.read_bytes()


def test_losses_and_copies_are_listed(build, corpus, tmp_path):
    (corpus / "anna/angry0.wav").write_bytes(b"")
    (corpus / "bert/sad1.wav").write_bytes((corpus / "bert/sad2.wav").read_bytes())
    statistics = load_statistics(run_statistics(build(max_bad_ratio=0.1), tmp_path / "out"))
    assert statistics["dead"] == {"empty": 1}
    # Different noise also sounds alike; the audit decides what counts as a copy.
    assert any({"manifest/bert/sad1", "manifest/bert/sad2"} <= set(g) for g in statistics["copies"])


def test_a_shard_that_was_damaged_stops_the_job_and_leaves_nothing(build, tmp_path):
    path = build()
    shard = next(path.glob("*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(SerError, match=r"statistics job in .*found a damaged record"):
        run_statistics(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_an_error_and_leaves_nothing(build, tmp_path, monkeypatch):
    path = build()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(staged_output.os, "fsync", full)
        with pytest.raises(SerError, match="No space left on device"):
            run_statistics(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert run_statistics(path, tmp_path / "out").is_file()


def test_invalid_arguments_are_errors(build, corpus, tmp_path):
    path = build()
    with pytest.raises(ConfigError, match="found 0 workers"):
        run_statistics(path, tmp_path / "out", workers=0)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="a folder"):
        run_statistics(path, tmp_path / "file")
    with pytest.raises(SchemaError, match="expected the output folder of `ser features`"):
        run_statistics(corpus, tmp_path / "out")
    with pytest.raises(CorpusError):
        run_statistics(path, tmp_path / "out", data_dir=tmp_path / "nowhere")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 0}'])
def test_what_is_no_statistics_file_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "statistics.json").write_text(content)
    with pytest.raises(SchemaError, match="ser statistics"):
        load_statistics(tmp_path)
