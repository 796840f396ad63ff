import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from pipeline.features.collect import (
    check_losses,
    collect,
    losses_error,
    read_dead_letters,
    write_set,
)
from pipeline.features.recordings import (
    Recording,
    RecordingList,
    recordings_fingerprint,
    shard_name,
)
from pipeline.features.shards import positions_by_shard
from pipeline.features.writer import DeadLetter, ShardReport
from ser_keras.corpora.base import Utterance
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.data.schema import Schema
from ser_keras.errors import SerError
from tests.memory import growth

SHARDS = 4


def listed(count):
    """Recordings of which every fourth is of another label and every fifth of another speaker."""
    lines = []
    for number in range(count):
        label, speaker = "angry" if number % 4 else "sad", f"s{number % 5}"
        key, path = f"zoo/{number:05}", f"{number:05}.wav"
        utterance = Utterance(key, Path("/zoo") / path, label, speaker, "zoo")
        lines.append(Recording(utterance, path, f"{number:064}", 100).to_line())
    return RecordingList(lines)


def row_of(recording, shard):
    utterance = recording.utterance
    names = ("session", "sentence", "gender", "style", "split", "corpus")
    texts = (getattr(utterance, name) for name in names)
    measured = (1.0625, 104, shard, recording.sha256, "b" * 64, bytes(8))
    return IndexRow(utterance.key, utterance.label, utterance.speaker, *texts, *measured)


def letter_of(recording, kind="empty"):
    message = f"{recording.path}: found an empty file."
    return DeadLetter(recording.key, recording.path, recording.sha256, "read", kind, message, 0)


def write_shards(folder, recordings, num_shards=SHARDS, dead=()):
    """Writes what the workers would; returns the positions of the shards' recordings."""
    folder.mkdir(exist_ok=True)
    positions = positions_by_shard(recordings, num_shards)
    for shard, of_shard in positions.items():
        name = shard_name(shard, num_shards)
        report = ShardReport(f"{name}.tfrecord", 5, "c" * 64)
        for recording in (recordings[position] for position in of_shard):
            if recording.key in dead:
                report.dead.append(letter_of(recording))
            else:
                report.rows.append(row_of(recording, report.name))
        (folder / report.name).write_bytes(b"shard")
        write_report(folder, name, report)
    return positions


def write_report(folder, name, report):
    (folder / f"{name}.report.json").write_text(report.to_json())


def first_report(folder, positions):
    name = shard_name(next(iter(positions)), SHARDS)
    return name, ShardReport.from_json((folder / f"{name}.report.json").read_text())


def test_rows_and_dead_letters_of_all_shards_are_written_in_the_order_of_their_keys(tmp_path):
    recordings, dead = listed(40), ["zoo/00003", "zoo/00017", "zoo/00018"]
    positions = write_shards(tmp_path, recordings, dead=dead)
    collected = collect(tmp_path, recordings, positions, SHARDS)
    rows = list(map(json.loads, (tmp_path / "index.jsonl").read_bytes().splitlines()))
    assert [row["key"] for row in rows] == [s.key for s in recordings if s.key not in dead]
    letters = list(read_dead_letters(tmp_path / "dead_letters.jsonl"))
    assert letters == [letter_of(recordings[number]) for number in (3, 17, 18)]
    assert collected.counters == {"seen": 40, "ok": 37, "dead_empty": 3}
    assert collected.seconds_audio == round(37 * 1.0625, 3)
    assert collected.source_fingerprint == recordings_fingerprint(recordings)
    for name, sha256 in collected.files.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256


def test_what_is_collected_and_written_can_be_opened(tmp_path):
    recordings = listed(40)
    positions = write_shards(tmp_path, recordings, dead=["zoo/00003"])
    collected = collect(tmp_path, recordings, positions, SHARDS)
    schema = Schema({"kind": "logmel"}, "logmel40", 40, "zoo", "zoo", ("sad", "angry"), ())
    write_set(tmp_path, collected, schema, {"fingerprint": "a"})
    feature_set = FeatureSet.open(tmp_path)
    assert (len(feature_set.rows), feature_set.manifest["num_dead"]) == (39, 1)
    assert sum(shard["records"] for shard in feature_set.manifest["shards"]) == 39
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".jsonl", ".tfrecord"}
    assert list(tmp_path.glob("*.report.json")) == []


def test_recordings_are_described_as_the_workers_read_them(tmp_path):
    recordings = listed(40)
    positions = write_shards(tmp_path, recordings)
    name, report = first_report(tmp_path, positions)
    changed = report.rows[2]
    report.rows[2] = dataclasses.replace(changed, source_sha256="d" * 64)
    write_report(tmp_path, name, report)
    read = [
        dataclasses.replace(recording, sha256="d" * 64)
        if recording.key == changed.key
        else recording
        for recording in recordings
    ]
    collected = collect(tmp_path, recordings, positions, SHARDS)
    assert (
        collected.source_fingerprint
        == recordings_fingerprint(read)
        != recordings_fingerprint(recordings)
    )


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda rows: rows.pop(), "39 records"),
        (lambda rows: rows.append(rows[0]), "41 records"),
        (lambda rows: rows.append(dataclasses.replace(rows[0], key="zoo/other")), "41 records"),
    ],
    ids=["lost", "doubled", "foreign"],
)
def test_a_recording_that_does_not_occur_once_is_an_error(tmp_path, change, count):
    recordings = listed(40)
    positions = write_shards(tmp_path, recordings)
    name, report = first_report(tmp_path, positions)
    change(report.rows)
    write_report(tmp_path, name, report)
    sentence = f"found {count} and 0 dead letters for 40 recordings; 1 are lost or doubled, such as"
    with pytest.raises(SerError, match=f"{sentence} zoo/"):
        collect(tmp_path, recordings, positions, SHARDS)
    assert not (tmp_path / "index.jsonl").exists()


@pytest.mark.parametrize(
    ("ending", "sentence"), [("report.json", "was not finished"), ("tfrecord", "was not finished")]
)
def test_a_shard_that_is_not_there_is_named(tmp_path, ending, sentence):
    recordings = listed(40)
    positions = write_shards(tmp_path, recordings)
    (tmp_path / f"{shard_name(2, SHARDS)}.{ending}").unlink()
    with pytest.raises(SerError, match=rf"part-00002-of-00004.tfrecord: the shard {sentence}"):
        collect(tmp_path, recordings, positions, SHARDS)


def test_a_shard_of_another_size_is_named(tmp_path):
    recordings = listed(40)
    positions = write_shards(tmp_path, recordings)
    (tmp_path / f"{shard_name(2, SHARDS)}.tfrecord").write_bytes(b"")
    with pytest.raises(SerError, match=r"part-00002-of-00004.tfrecord: found 0 bytes, expected 5"):
        collect(tmp_path, recordings, positions, SHARDS)


@pytest.mark.parametrize(
    ("lost", "ratio", "reason"),
    [
        ([], 0.0, ""),
        ([3], 0.025, ""),
        ([3, 4], 0.025, "at most 2.50% may be lost (--max-bad-ratio)"),
        (range(0, 40, 4), 1.0, "nothing is left of label sad"),
        (range(3, 40, 5), 1.0, "nothing is left of speaker s3"),
        (range(40), 1.0, "nothing is left of label angry, sad"),
    ],
)
def test_losses_are_accepted_up_to_a_share_and_never_a_whole_label_or_speaker(lost, ratio, reason):
    recordings = listed(40)
    dead = (letter_of(recordings[number]) for number in lost)
    assert check_losses(recordings, dead, ratio) == reason


def test_the_error_counts_kinds_and_quotes_the_first(tmp_path):
    recordings, letters = listed(40), tmp_path / "letters.jsonl"
    dead = [letter_of(recordings[1], "empty"), letter_of(recordings[2], "short")]
    dead.append(letter_of(recordings[3], "short"))
    letters.write_text("".join(json.dumps(dataclasses.asdict(letter)) + "\n" for letter in dead))
    assert str(losses_error("Zoo at /zoo", 40, "that is too much", letters)) == (
        "Zoo at /zoo: found 3 of 40 recordings that cannot be used (short 2, empty 1), and that is "
        f"too much. First: 00001.wav: found an empty file. All are listed in {letters}. Nothing "
        "was published."
    )


def test_collecting_takes_a_few_bytes_for_each_recording(tmp_path):
    inputs = {}
    for count in (200, 1000):
        recordings = listed(count)
        # As in a real corpus, there are more shards rather than larger ones.
        inputs[count] = tmp_path / str(count), recordings, count // 40
        write_shards(*inputs[count], dead=[recording.key for recording in recordings[::50]])

    def collect_all(count):
        folder, recordings, num_shards = inputs[count]
        positions = positions_by_shard(recordings, num_shards)
        return collect(folder, recordings, positions, num_shards), positions

    peak, held = growth(collect_all, 200, 1000)
    assert peak < 100
    assert held < 50
