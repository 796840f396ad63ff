import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from pipeline.features import writer as transforms
from pipeline.features.recordings import list_sources, shard_name
from pipeline.features.shards import WriteListedShards, list_name, places_by_shard, write_lists
from pipeline.features.writer import DeadLetter, ShardReport, write_shard
from ser_keras.audio import AudioLimits, content_hash, read_audio
from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec
from tests.pipeline.conftest import SPEC, snapshot

LIMITS = AudioLimits()


@pytest.fixture
def sources(corpus):
    return list_sources("manifest", corpus)


def test_a_shard_has_the_same_bytes_whatever_the_order_of_its_sources(sources, tmp_path):
    made = []
    for number, given in enumerate((sources, sources[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_shard("part", given, folder, SPEC, LIMITS)
        made.append(snapshot(folder)["part.tfrecord"])
    assert made[0] == made[1]


def test_a_row_says_what_is_in_the_record(sources, tmp_path):
    report = write_shard("part", sources, tmp_path, SPEC, LIMITS)
    assert [row.key for row in report.rows] == [source.key for source in sources]
    for row, source in zip(report.rows, sources, strict=True):
        waveform = read_audio(source.utterance.path)
        assert row.frames == len(extract(SPEC, waveform))
        assert row.duration_s == len(waveform) / 16000
        assert row.audio_sha256 == content_hash(waveform)
        assert row.source_sha256 == source.sha256
        assert (row.label, row.speaker, row.shard) == (
            source.utterance.label,
            source.utterance.speaker,
            "part.tfrecord",
        )
    assert (tmp_path / report.name).stat().st_size == report.bytes


def test_features_are_of_the_rate_of_their_spec_and_hashes_of_the_common_one(sources):
    spec = get_spec("mfcc40-windows-22k")
    row, features, _ = transforms.process(sources[0], "part", spec, LIMITS)
    path = sources[0].utterance.path
    heard = read_audio(path, sample_rate_hz=22050)
    assert len(heard) == pytest.approx(len(read_audio(path)) * 22050 / 16000, abs=2)
    np.testing.assert_array_equal(features, extract(spec, heard))
    assert row.audio_sha256 == content_hash(read_audio(path))
    assert row.duration_s == len(read_audio(path)) / 16000


def test_a_report_survives_its_file(sources, tmp_path):
    (sources[3].utterance.path).write_bytes(b"")
    report = write_shard("part", sources, tmp_path, SPEC, LIMITS)
    assert len(report.dead) == 1
    assert ShardReport.from_json((tmp_path / "part.report.json").read_text()) == report


def test_every_animal_of_the_zoo_is_used_or_named(zoo):
    root, expected = zoo
    found = {}
    for source in list_sources("manifest", root):
        result = transforms.process(source, "part", SPEC, LIMITS)
        found[source.path] = result.kind if isinstance(result, DeadLetter) else "ok"
        if isinstance(result, DeadLetter):
            assert result.message.startswith(source.path + ":")
            assert result.sha256 == source.sha256
    assert found == expected


def test_a_foreign_error_costs_one_file_and_tells_nothing_of_its_content(sources, monkeypatch):
    def broken(spec, waveform):
        raise ValueError(f"what was said: {waveform[:5]}")

    monkeypatch.setattr(transforms, "extract", broken)
    letter = transforms.process(sources[0], "part", SPEC, LIMITS)
    assert (letter.kind, letter.stage) == ("internal", "features")
    assert "ValueError at test_writer.py:" in letter.message
    assert "said" not in letter.message


def test_features_that_are_not_finite_are_a_dead_letter(sources, monkeypatch):
    monkeypatch.setattr(transforms, "extract", lambda *_: np.array([[np.nan]], np.float32))
    letter = transforms.process(sources[0], "part", SPEC, LIMITS)
    assert (letter.kind, letter.stage) == ("not_finite", "features")


@pytest.mark.parametrize("repeat", [0, 2])
def test_the_graph_writes_each_shard_once_even_if_bundles_are_repeated(sources, tmp_path, repeat):
    sources[5].utterance.path.write_bytes(b"")
    sources[6].utterance.path.write_bytes(b"no recording")
    folder = tmp_path / "shards"
    folder.mkdir()
    options = PipelineOptions([f"--direct_runner_bundle_repeat={repeat}"])

    def whole(reports):
        assert sum(len(report.rows) for report in reports) == 22
        assert sorted(letter.kind for report in reports for letter in report.dead) == [
            "empty",
            "not_audio",
        ]

    places = places_by_shard(sources, 3)
    write_lists(folder, sources, places)
    pipeline = test_pipeline.TestPipeline(runner="FnApiRunner", options=options)
    shards = pipeline | beam.Create(list(places))
    reports = shards | WriteListedShards(str(folder), 3, SPEC, LIMITS)
    assert_that(reports, whole)
    result = pipeline.run()
    result.wait_until_finish()
    names = [shard_name(shard, 3) for shard in places]
    assert sorted(snapshot(folder)) == sorted(
        [name + suffix for name in names for suffix in (".report.json", ".tfrecord")]
        + [list_name(shard) for shard in places]
    )
    found = result.metrics().query()
    counters = {each.key.metric.name: each.committed for each in found["counters"]}
    assert counters == {"seen": 24, "ok": 22, "dead_empty": 1, "dead_not_audio": 1}
    audio_ms = next(
        each.committed for each in found["distributions"] if each.key.metric.name == "audio_ms"
    )
    assert audio_ms.count == 22


def test_dead_letters_are_plain_values():
    fields = [each.name for each in dataclasses.fields(DeadLetter)]
    assert fields == ["key", "path", "sha256", "stage", "kind", "message", "bytes"]
