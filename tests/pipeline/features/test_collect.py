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
from pipeline.features.recordings import Source, SourceList, shard_name, source_fingerprint
from pipeline.features.shards import places_by_shard
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
        lines.append(Source(utterance, path, f"{number:064}", 100).to_line())
    return SourceList(lines)


def row_of(source, shard):
    said = source.utterance
    texts = (said.session, said.sentence, said.gender, said.style, said.split, said.corpus)
    found = (1.0625, 104, shard, source.sha256, "b" * 64, bytes(8))
    return IndexRow(said.key, said.label, said.speaker, *texts, *found)


def letter_of(source, kind="empty"):
    message = f"{source.path}: found an empty file."
    return DeadLetter(source.key, source.path, source.sha256, "read", kind, message, 0)


def leave(folder, sources, num_shards=SHARDS, dead=()):
    """Leaves in a folder what workers would; returns the places of the shards' recordings."""
    folder.mkdir(exist_ok=True)
    places = places_by_shard(sources, num_shards)
    for shard, of_shard in places.items():
        name = shard_name(shard, num_shards)
        report = ShardReport(f"{name}.tfrecord", 5, "c" * 64)
        for source in (sources[place] for place in of_shard):
            if source.key in dead:
                report.dead.append(letter_of(source))
            else:
                report.rows.append(row_of(source, report.name))
        (folder / report.name).write_bytes(b"shard")
        rewrite(folder, name, report)
    return places


def rewrite(folder, name, report):
    (folder / f"{name}.report.json").write_text(report.to_json())


def first_report(folder, places):
    name = shard_name(next(iter(places)), SHARDS)
    return name, ShardReport.from_json((folder / f"{name}.report.json").read_text())


def test_rows_and_dead_letters_of_all_shards_are_written_in_the_order_of_their_keys(tmp_path):
    sources, dead = listed(40), ["zoo/00003", "zoo/00017", "zoo/00018"]
    places = leave(tmp_path, sources, dead=dead)
    outcome = collect(tmp_path, sources, places, SHARDS)
    rows = list(map(json.loads, (tmp_path / "index.jsonl").read_bytes().splitlines()))
    assert [row["key"] for row in rows] == [s.key for s in sources if s.key not in dead]
    letters = list(read_dead_letters(tmp_path / "dead_letters.jsonl"))
    assert letters == [letter_of(sources[number]) for number in (3, 17, 18)]
    assert outcome.counters == {"seen": 40, "ok": 37, "dead_empty": 3}
    assert outcome.seconds_audio == round(37 * 1.0625, 3)
    assert outcome.source_fingerprint == source_fingerprint(sources)
    for name, sha256 in outcome.files.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256


def test_what_is_collected_and_written_can_be_opened(tmp_path):
    sources = listed(40)
    places = leave(tmp_path, sources, dead=["zoo/00003"])
    outcome = collect(tmp_path, sources, places, SHARDS)
    schema = Schema({"kind": "logmel"}, "logmel40", 40, "zoo", "zoo", ("sad", "angry"), ())
    write_set(tmp_path, outcome, schema, {"fingerprint": "a"})
    found = FeatureSet.open(tmp_path)
    assert (len(found.rows), found.manifest["num_dead"]) == (39, 1)
    assert sum(shard["records"] for shard in found.manifest["shards"]) == 39
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".jsonl", ".tfrecord"}
    assert list(tmp_path.glob("*.report.json")) == []


def test_recordings_are_described_as_the_workers_read_them(tmp_path):
    sources = listed(40)
    places = leave(tmp_path, sources)
    name, report = first_report(tmp_path, places)
    changed = report.rows[2]
    report.rows[2] = dataclasses.replace(changed, source_sha256="d" * 64)
    rewrite(tmp_path, name, report)
    read = [
        dataclasses.replace(source, sha256="d" * 64) if source.key == changed.key else source
        for source in sources
    ]
    outcome = collect(tmp_path, sources, places, SHARDS)
    assert outcome.source_fingerprint == source_fingerprint(read) != source_fingerprint(sources)


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda rows: rows.pop(), "39 records"),
        (lambda rows: rows.append(rows[0]), "41 records"),
        (lambda rows: rows.append(dataclasses.replace(rows[0], key="zoo/other")), "41 records"),
    ],
    ids=["lost", "doubled", "foreign"],
)
def test_a_recording_that_is_not_in_one_place_is_a_fault(tmp_path, change, count):
    sources = listed(40)
    places = leave(tmp_path, sources)
    name, report = first_report(tmp_path, places)
    change(report.rows)
    rewrite(tmp_path, name, report)
    sentence = f"found {count} and 0 dead letters for 40 recordings; 1 are lost or doubled, such as"
    with pytest.raises(SerError, match=f"{sentence} zoo/"):
        collect(tmp_path, sources, places, SHARDS)
    assert not (tmp_path / "index.jsonl").exists()


@pytest.mark.parametrize(
    ("ending", "sentence"), [("report.json", "was not finished"), ("tfrecord", "was not finished")]
)
def test_a_shard_that_is_not_there_is_named(tmp_path, ending, sentence):
    sources = listed(40)
    places = leave(tmp_path, sources)
    (tmp_path / f"{shard_name(2, SHARDS)}.{ending}").unlink()
    with pytest.raises(SerError, match=rf"part-00002-of-00004.tfrecord: the shard {sentence}"):
        collect(tmp_path, sources, places, SHARDS)


def test_a_shard_of_another_size_is_named(tmp_path):
    sources = listed(40)
    places = leave(tmp_path, sources)
    (tmp_path / f"{shard_name(2, SHARDS)}.tfrecord").write_bytes(b"")
    with pytest.raises(SerError, match=r"part-00002-of-00004.tfrecord: found 0 bytes, expected 5"):
        collect(tmp_path, sources, places, SHARDS)


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
def test_losses_are_borne_up_to_a_share_and_never_a_whole_label_or_speaker(lost, ratio, reason):
    sources = listed(40)
    dead = (letter_of(sources[number]) for number in lost)
    assert check_losses(sources, dead, ratio) == reason


def test_the_error_counts_kinds_and_quotes_the_first(tmp_path):
    sources, letters = listed(40), tmp_path / "letters.jsonl"
    dead = [letter_of(sources[1], "empty"), letter_of(sources[2], "short")]
    dead.append(letter_of(sources[3], "short"))
    letters.write_text("".join(json.dumps(dataclasses.asdict(each)) + "\n" for each in dead))
    assert str(losses_error("Zoo at /zoo", 40, "that is too much", letters)) == (
        "Zoo at /zoo: found 3 of 40 recordings that cannot be used (short 2, empty 1), and that is "
        f"too much. First: 00001.wav: found an empty file. All are listed in {letters}. Nothing "
        "was published."
    )


def test_collecting_takes_a_few_bytes_for_each_recording(tmp_path):
    made = {}
    for count in (200, 1000):
        sources = listed(count)
        # As in a real corpus, there are more shards rather than larger ones.
        made[count] = tmp_path / str(count), sources, count // 40
        leave(*made[count], dead=[source.key for source in sources[::50]])

    def collected(count):
        folder, sources, num_shards = made[count]
        places = places_by_shard(sources, num_shards)
        return collect(folder, sources, places, num_shards), places

    peak, held = growth(collected, 200, 1000)
    assert peak < 100
    assert held < 50
