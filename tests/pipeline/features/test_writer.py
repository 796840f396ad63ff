import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from pipeline.features import writer
from pipeline.features.recordings import list_recordings, shard_name
from pipeline.features.shards import WriteListedShards, list_name, positions_by_shard, write_lists
from pipeline.features.writer import DeadLetter, ShardReport, write_shard
from ser_keras.audio import AudioLimits, content_hash, read_audio
from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec
from tests.pipeline.conftest import SPEC, snapshot

LIMITS = AudioLimits()


@pytest.fixture
def recordings(corpus):
    return list_recordings("manifest", corpus)


def test_a_shard_has_the_same_bytes_whatever_the_order_of_its_recordings(recordings, tmp_path):
    contents = []
    for number, in_order in enumerate((recordings, recordings[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_shard("part", in_order, folder, SPEC, LIMITS)
        contents.append(snapshot(folder)["part.tfrecord"])
    assert contents[0] == contents[1]


def test_a_row_says_what_is_in_the_record(recordings, tmp_path):
    report = write_shard("part", recordings, tmp_path, SPEC, LIMITS)
    assert [row.key for row in report.rows] == [recording.key for recording in recordings]
    for row, recording in zip(report.rows, recordings, strict=True):
        waveform = read_audio(recording.utterance.path)
        assert row.frames == len(extract(SPEC, waveform))
        assert row.duration_s == len(waveform) / 16000
        assert row.audio_sha256 == content_hash(waveform)
        assert row.source_sha256 == recording.sha256
        assert (row.label, row.speaker, row.shard) == (
            recording.utterance.label,
            recording.utterance.speaker,
            "part.tfrecord",
        )
    assert (tmp_path / report.name).stat().st_size == report.bytes


def test_features_are_of_the_rate_of_their_spec_and_hashes_of_the_common_one(recordings):
    spec = get_spec("mfcc40-windows-22k")
    row, features, _ = writer.process(recordings[0], "part", spec, LIMITS)
    path = recordings[0].utterance.path
    waveform = read_audio(path, sample_rate_hz=22050)
    assert len(waveform) == pytest.approx(len(read_audio(path)) * 22050 / 16000, abs=2)
    np.testing.assert_array_equal(features, extract(spec, waveform))
    assert row.audio_sha256 == content_hash(read_audio(path))
    assert row.duration_s == len(read_audio(path)) / 16000


def test_a_report_survives_its_file(recordings, tmp_path):
    (recordings[3].utterance.path).write_bytes(b"")
    report = write_shard("part", recordings, tmp_path, SPEC, LIMITS)
    assert len(report.dead) == 1
    assert ShardReport.from_json((tmp_path / "part.report.json").read_text()) == report


def test_every_file_of_the_zoo_is_used_or_a_dead_letter(zoo):
    root, expected = zoo
    results = {}
    for recording in list_recordings("manifest", root):
        result = writer.process(recording, "part", SPEC, LIMITS)
        results[recording.path] = result.kind if isinstance(result, DeadLetter) else "ok"
        if isinstance(result, DeadLetter):
            assert result.message.startswith(recording.path + ":")
            assert result.sha256 == recording.sha256
    assert results == expected


def test_a_foreign_error_costs_one_file_and_tells_nothing_of_its_content(recordings, monkeypatch):
    def broken(spec, waveform):
        raise ValueError(f"what was said: {waveform[:5]}")

    monkeypatch.setattr(writer, "extract", broken)
    letter = writer.process(recordings[0], "part", SPEC, LIMITS)
    assert (letter.kind, letter.stage) == ("internal", "features")
    assert "ValueError at test_writer.py:" in letter.message
    assert "said" not in letter.message


def test_features_that_are_not_finite_are_a_dead_letter(recordings, monkeypatch):
    monkeypatch.setattr(writer, "extract", lambda *_: np.array([[np.nan]], np.float32))
    letter = writer.process(recordings[0], "part", SPEC, LIMITS)
    assert (letter.kind, letter.stage) == ("not_finite", "features")


@pytest.mark.parametrize("repeat", [0, 2])
def test_the_graph_writes_each_shard_once_even_if_bundles_are_repeated(
    recordings, tmp_path, repeat
):
    recordings[5].utterance.path.write_bytes(b"")
    recordings[6].utterance.path.write_bytes(b"no recording")
    folder = tmp_path / "shards"
    folder.mkdir()
    options = PipelineOptions([f"--direct_runner_bundle_repeat={repeat}"])

    def whole(reports):
        assert sum(len(report.rows) for report in reports) == 22
        assert sorted(letter.kind for report in reports for letter in report.dead) == [
            "empty",
            "not_audio",
        ]

    positions = positions_by_shard(recordings, 3)
    write_lists(folder, recordings, positions)
    pipeline = test_pipeline.TestPipeline(runner="FnApiRunner", options=options)
    shards = pipeline | beam.Create(list(positions))
    reports = shards | WriteListedShards(str(folder), 3, SPEC, LIMITS)
    assert_that(reports, whole)
    result = pipeline.run()
    result.wait_until_finish()
    names = [shard_name(shard, 3) for shard in positions]
    assert sorted(snapshot(folder)) == sorted(
        [name + suffix for name in names for suffix in (".report.json", ".tfrecord")]
        + [list_name(shard) for shard in positions]
    )
    metrics = result.metrics().query()
    counters = {counter.key.metric.name: counter.committed for counter in metrics["counters"]}
    assert counters == {"seen": 24, "ok": 22, "dead_empty": 1, "dead_not_audio": 1}
    audio_ms = next(
        distribution.committed
        for distribution in metrics["distributions"]
        if distribution.key.metric.name == "audio_ms"
    )
    assert audio_ms.count == 22


def test_dead_letters_are_plain_values():
    fields = [item.name for item in dataclasses.fields(DeadLetter)]
    assert fields == ["key", "path", "sha256", "stage", "kind", "message", "bytes"]
