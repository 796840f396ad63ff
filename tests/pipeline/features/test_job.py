import errno
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from pipeline.features import job as feature_job
from pipeline.publishing import staged_output
from ser_keras.audio import AudioLimits, content_hash, read_audio
from ser_keras.audit import fingerprint
from ser_keras.corpora import get_corpus
from ser_keras.data.example import TEXT_KEYS
from ser_keras.data.example_graph import parse_example
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, CorpusError, SchemaError, SerError
from ser_keras.features.extract import extract
from ser_keras.features.specs import get_spec, spec_from_dict
from tests.architecture import ROOT
from tests.pipeline.conftest import SPEC, Steps, snapshot


def records(feature_set):
    """Every record of a set by key, read by TensorFlow."""
    import tensorflow as tf

    paths = [str(path) for path in feature_set.shard_paths]
    parsed = tf.data.TFRecordDataset(paths).map(parse_example)
    examples = list(parsed.as_numpy_iterator())
    by_key = {example["key"].decode(): example for example in examples}
    assert len(by_key) == len(examples)
    return by_key


def test_the_set_holds_every_recording_once_with_its_features(build, corpus):
    feature_set = FeatureSet.open(build())
    feature_set.verify()
    utterances = {utterance.key: utterance for utterance in get_corpus("manifest").read(corpus)}
    rows = {row.key: row for row in feature_set.rows}
    stored = records(feature_set)
    assert set(stored) == set(rows) == set(utterances)
    for key, utterance in utterances.items():
        waveform = read_audio(utterance.path)
        expected = extract(SPEC, waveform)
        np.testing.assert_array_equal(stored[key]["features"], expected)
        assert rows[key].frames == len(expected)
        assert rows[key].audio_sha256 == content_hash(waveform)
        assert rows[key].fingerprint == fingerprint(waveform)
        for name in TEXT_KEYS:
            assert stored[key][name].decode() == getattr(rows[key], name)
        for name in ("label", "speaker", "session", "sentence", "gender", "style", "split"):
            assert getattr(rows[key], name) == getattr(utterance, name)


def test_the_schema_says_what_the_features_are(build):
    schema = FeatureSet.open(build(name="mine")).schema
    assert spec_from_dict(schema.spec) == SPEC
    assert (schema.spec_name, schema.dim, schema.corpus) == ("logmel23", 23, "manifest")
    assert (schema.name, schema.labels) == ("mine", ("sad", "angry"))


def test_the_manifest_counts(build, corpus):
    manifest = FeatureSet.open(build()).manifest
    seconds = sum(len(read_audio(path)) / 16000 for path in corpus.rglob("*.wav"))
    assert manifest["counters"] == {"seen": 24, "ok": 24, "seconds_audio": round(seconds, 3)}
    assert sum(shard["records"] for shard in manifest["shards"]) == manifest["num_records"] == 24
    assert manifest["num_dead"] == 0


def test_nothing_but_the_set_is_left(build, tmp_path):
    path = build()
    assert sorted(snapshot(path)) == sorted(
        [
            "dead_letters.jsonl",
            "index.jsonl",
            "manifest.json",
            "schema.json",
            *(shard["name"] for shard in FeatureSet.open(path).manifest["shards"]),
        ]
    )
    assert sorted(child.name for child in path.parent.iterdir()) == sorted(["LATEST", path.name])
    assert FeatureSet.open(tmp_path / "features").path == path


def test_the_same_input_again_computes_nothing(build):
    first, steps = build(), Steps()
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert build(progress=steps) == first
    assert steps == ["listing"]
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


def test_two_runs_give_equal_files(build, corpus, tmp_path):
    copy = shutil.copytree(corpus, tmp_path / "elsewhere")
    first = build()
    second = build(data_dir=copy, output=tmp_path / "other")
    assert first.name == second.name
    assert snapshot(first) == snapshot(second)


def test_another_number_of_shards_is_another_set_beside_the_first(build, tmp_path):
    first = build(num_shards=2)
    second = build(num_shards=3)
    assert first.name != second.name
    for path, shards in ((first, 2), (second, 3)):
        feature_set = FeatureSet.open(path)
        assert len(feature_set.shard_paths) == shards
        assert len(records(feature_set)) == 24
    assert FeatureSet.open(tmp_path / "features").path == second
    assert build(num_shards=2) == first
    assert FeatureSet.open(tmp_path / "features").path == first


def test_recordings_are_hashed_beforehand_only_where_such_a_set_is_there(
    build, corpus, tmp_path, monkeypatch
):
    hashed_counts, with_hashes = [], feature_job.with_hashes

    def counted(recordings):
        hashed_counts.append(len(recordings))
        return with_hashes(recordings)

    monkeypatch.setattr(feature_job, "with_hashes", counted)
    output = tmp_path / "features"
    for number, text in enumerate(["", "[]", "{}", '{"num_records": 24}', "\udcff"]):
        folder = output / f"damaged{number}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text, errors="surrogateescape")
    build()
    build(spec=get_spec("logmel40"))
    table = corpus / "manifest.csv"
    table.write_text(table.read_text().replace("anna/angry0.wav,angry,anna\n", ""))
    fewer = build()
    assert hashed_counts == []
    assert build() == fewer
    assert hashed_counts == [23]


@pytest.mark.parametrize(
    "setting",
    [
        {"spec": get_spec("logmel23", trim_db=30)},
        {"name": "other"},
        {"limits": AudioLimits(max_duration_s=99.0)},
    ],
)
def test_other_settings_are_another_set(build, setting):
    assert build().name != build(**setting).name


def test_a_damaged_set_is_made_again(build):
    path = build()
    before = snapshot(path)
    next(path.glob("*.tfrecord")).unlink()
    steps = Steps()
    assert build(progress=steps) == path
    assert "features" in steps
    assert snapshot(path) == before


def test_bad_files_cost_themselves_alone(build, zoo):
    root, expected = zoo
    bad = {f"zoo/{name}": kind for name, kind in expected.items() if kind != "ok"}
    feature_set = FeatureSet.open(build(root, max_bad_ratio=0.9))
    assert {letter["key"]: letter["kind"] for letter in feature_set.dead_letters} == bad
    assert {row.key for row in feature_set.rows} == {f"zoo/{name}" for name in expected} - set(bad)
    counters = feature_set.manifest["counters"]
    assert counters["seen"] == len(expected)
    assert sum(n for name, n in counters.items() if name.startswith("dead_")) == len(bad)


def test_too_many_bad_files_stop_the_job_and_are_listed(build, corpus, tmp_path):
    (corpus / "anna/angry0.wav").write_bytes(b"")
    with pytest.raises(CorpusError) as caught:
        build()
    output = tmp_path / "features"
    (listed,) = output.glob("dead_letters-*.jsonl")
    assert str(caught.value) == (
        f"CSV manifest at {corpus}: found 1 of 24 recordings that cannot be used (empty 1), and at "
        "most 1.00% may be lost (--max-bad-ratio). First: anna/angry0.wav: found an empty file (0 "
        "bytes), expected WAV, FLAC, Ogg or MP3. Copy it again. All "
        f"are listed in {listed}. Nothing was published."
    )
    assert [path.name for path in output.iterdir()] == [listed.name]
    path = build(max_bad_ratio=0.05)
    assert len(FeatureSet.open(path).rows) == 23
    assert not listed.exists()
    with pytest.raises(CorpusError, match=r"at most 1\.00% may be lost"):
        build()


def test_no_speaker_and_no_label_may_vanish(build, corpus):
    for path in (corpus / "bert").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="nothing is left of speaker bert"):
        build(max_bad_ratio=1.0)
    for path in corpus.rglob("sad*.wav"):
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="nothing is left of label sad"):
        build(max_bad_ratio=1.0)


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_file_that_changes_while_the_job_runs_is_described_as_it_was_read(
    build, corpus, vanishes
):
    victim, replacement = corpus / "anna/angry0.wav", corpus / "cleo/sad3.wav"

    def interfere(step, done, total):
        if (step, done) == ("features", 0) and victim.exists():
            victim.unlink() if vanishes else shutil.copy(replacement, victim)

    path = build(progress=interfere, max_bad_ratio=0.1)
    if vanishes:
        (letter,) = FeatureSet.open(path).dead_letters
        assert (letter["kind"], letter["sha256"]) == ("missing", "")
        return
    steps = Steps()
    assert build(progress=steps) == path
    assert steps == ["listing"]


def test_readers_see_nothing_or_all(build, tmp_path):
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                seen.append(len(FeatureSet.open(tmp_path / "features").rows))
            except SchemaError:
                seen.append(0)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        build()
    finally:
        stop.set()
        reader.join()
    assert set(seen) <= {0, 24}
    assert 0 in seen


def test_a_full_disk_is_an_error_and_leaves_nothing(build, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(staged_output.os, "fsync", full)
        with pytest.raises(SerError, match="No space left on device"):
            build()
    assert list((tmp_path / "features").iterdir()) == []
    assert len(FeatureSet.open(build()).rows) == 24


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_bad_ratio": 1.5}, "found --max-bad-ratio 1.5, expected 0 to 1"),
        ({"num_shards": 0}, "found --shards 0, expected 1 to 99999"),
        ({"workers": 0}, "found --workers 0, expected 1 or more"),
    ],
)
def test_options_that_cannot_be_are_refused(build, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(**options)


def test_an_output_that_is_a_file_is_refused(build, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file, expected a folder"):
        build(output=tmp_path / "file")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"workers": 2},
        {"beam_args": ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]},
        {"beam_args": ["--direct_runner_bundle_repeat=2"]},
        # A job server and its worker: the job is pickled, sent and staged as for a cluster.
        {
            "beam_args": [
                "--runner=PortableRunner",
                "--job_endpoint=embed",
                "--environment_type=LOOPBACK",
            ]
        },
    ],
)
def test_other_workers_and_repeated_bundles_give_equal_files(build, tmp_path, options):
    assert snapshot(build()) == snapshot(build(output=tmp_path / "other", **options))


@pytest.mark.realdata
@pytest.mark.slow
def test_ravdess_one_process_and_two_are_equal_and_small(real_data, tmp_path):
    peaks = []
    for workers in (1, 2):
        code = (
            "import resource, sys\nfrom pipeline.features.job import build_feature_set\n"
            "from ser_keras.features.specs import get_spec\nfrom tests.memory import peak_bytes\n"
            "build_feature_set('ravdess', sys.argv[1], get_spec('logmel40'), sys.argv[2], "
            "workers=int(sys.argv[3]))\n"
            "print(peak_bytes(), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
            "sys.exit('tensorflow' in sys.modules)"
        )
        output = tmp_path / str(workers)
        command = [sys.executable, "-c", code, real_data / "ravdess", output, str(workers)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        peaks += map(int, done.stdout.split())
    first, second = (FeatureSet.open(tmp_path / name) for name in "12")
    first.verify()
    assert snapshot(first.path) == snapshot(second.path)
    assert len(first.rows) == 1440
    assert first.manifest["num_dead"] == 0
    assert max(peaks) < 1.5e9
