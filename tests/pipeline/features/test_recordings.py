import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features import recordings
from ser_keras.corpora import manifest
from ser_keras.corpora.base import Utterance
from ser_keras.errors import ConfigError, CorpusError
from tests.memory import growth

SETTINGS = {"num_shards": 8}


def identity(listed, settings=SETTINGS):
    return recordings.fingerprint(recordings.recordings_fingerprint(listed), settings)


@given(key=st.text(), num_shards=st.integers(1, 1000))
def test_a_shard_number_is_always_valid(key, num_shards):
    assert 0 <= recordings.shard_of(key, num_shards) < num_shards


def test_shards_are_of_similar_size():
    sizes = [0] * 8
    for number in range(8000):
        sizes[recordings.shard_of(f"ravdess/{number}", 8)] += 1
    assert min(sizes) > 900


def test_recordings_are_sorted_hashed_and_relative(corpus):
    listed = recordings.list_recordings("manifest", corpus)
    assert [recording.key for recording in listed] == sorted(recording.key for recording in listed)
    assert listed[0].path == "anna/angry0.wav"
    assert listed[0].num_bytes == (corpus / "anna/angry0.wav").stat().st_size
    assert len({recording.sha256 for recording in listed}) == 24


def test_recordings_are_listed_without_reading_them_and_hashed_on_request(corpus):
    listed = recordings.find_recordings("manifest", corpus)
    assert {recording.sha256 for recording in listed} == {""}
    assert list(recordings.with_hashes(listed)) == list(
        recordings.list_recordings("manifest", corpus)
    )


def test_a_column_is_that_field_of_every_recording(corpus):
    listed = recordings.find_recordings("manifest", corpus)
    for name in ("key", "label", "speaker"):
        assert list(listed.column(name)) == [
            getattr(recording.utterance, name) for recording in listed
        ]
    assert list(listed.column("num_bytes")) == [recording.num_bytes for recording in listed]


@pytest.mark.parametrize("root", ["corpus", "link", "corpus/anna/..", "corpus/bert", "."])
def test_names_are_relative_to_the_corpus_however_its_folder_is_written(corpus, tmp_path, root):
    (tmp_path / "link").symlink_to(corpus)
    (corpus / "anna" / "a..b.wav").write_bytes(b"")
    for path in (corpus / "anna/a..b.wav", tmp_path / "link/../corpus/a.wav", corpus / "a.wav"):
        utterance = Utterance("zoo/a", path, "sad", "anna", "zoo")
        (line,) = recordings._recording_lines([utterance], tmp_path / root)
        expected = os.path.relpath(path, tmp_path / root)
        assert recordings.Recording.from_line(line).path == expected


def test_what_is_no_regular_file_has_no_size(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "none", ".", "x" * 300, "\0"):
        (line,) = recordings._recording_lines(
            [Utterance("zoo/a", tmp_path / name, "", "", "zoo")], tmp_path
        )
        assert recordings.Recording.from_line(line).num_bytes == 0


@given(text=st.text(st.characters()), num_bytes=st.integers(0, 2**40))
def test_a_recording_survives_its_line(text, num_bytes):
    utterance = Utterance("zoo/a", Path("/zoo/\udcff.wav"), text, "anna", "zoo", split="test")
    recording = recordings.Recording(utterance, "\udcff.wav", "ab" * 32, num_bytes)
    line = recording.to_line()
    assert recordings.Recording.from_line(line) == recording
    assert line.splitlines(keepends=True) == [line]


def test_a_part_of_a_list_is_a_list_of_the_same_recordings(corpus):
    listed = recordings.list_recordings("manifest", corpus)
    assert list(listed[3:9:2]) == [listed[3], listed[5], listed[7]]
    assert list(listed[::-1]) == list(listed)[::-1]
    assert listed[-1] == list(listed)[23]
    with pytest.raises(IndexError):
        listed[24]


def test_more_recordings_than_are_hashed_at_once_keep_their_order(corpus, monkeypatch):
    listed = list(recordings.list_recordings("manifest", corpus))
    for number in (1, 7, 24, 25):
        monkeypatch.setattr(recordings, "_HASHED_AT_ONCE", number)
        assert list(recordings.list_recordings("manifest", corpus)) == listed


def test_listing_takes_less_than_a_kilobyte_for_each_recording(tmp_path, monkeypatch):
    many = [tmp_path / f"{number:05}.wav" for number in range(900)]
    for number, path in enumerate(many):
        path.write_bytes(b"%d" % number)

    def list_table(count):
        lines = [
            f"{path.name},sad,speaker{number % 24}" for number, path in enumerate(many[:count])
        ]
        table = tmp_path / "manifest.csv"
        table.write_text("\n".join(["path,label,speaker", *lines, ""]))
        listed = recordings.list_recordings("manifest", table)
        assert len(listed) == count
        return listed

    # The numbers of reading threads and waiting files at the peak vary, whatever the size.
    monkeypatch.setattr(recordings, "file_sha256", lambda path: "ab" * 32)
    monkeypatch.setattr(recordings, "_HASHED_AT_ONCE", 16)
    peak, held = growth(list_table, 300, 900)
    assert held < 300
    assert peak < 1000


def test_the_fingerprint_of_the_recordings_is_that_of_one_list(corpus):
    listed = recordings.list_recordings("manifest", corpus)
    known = [
        {
            **dataclasses.asdict(recording.utterance),
            "path": recording.path,
            "sha256": recording.sha256,
        }
        for recording in listed
    ]
    for count in (0, 1, 24):
        text = json.dumps(known[:count], sort_keys=True)
        expected = hashlib.sha256(text.encode()).hexdigest()
        assert recordings.recordings_fingerprint(listed[:count]) == expected


def test_the_identity_does_not_depend_on_the_place(corpus, tmp_path):
    copy = shutil.copytree(corpus, tmp_path / "elsewhere")
    first, second = (recordings.list_recordings("manifest", root) for root in (corpus, copy))
    assert identity(first) == identity(second)


def change_a_byte(corpus):
    with (corpus / "anna/angry0.wav").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x55")


def change_a_label(corpus):
    table = corpus / "manifest.csv"
    table.write_text(table.read_text().replace("angry3.wav,angry,cleo", "angry3.wav,sad,cleo"))


def remove_a_row(corpus):
    table = corpus / "manifest.csv"
    table.write_text(table.read_text().replace("anna/angry0.wav,angry,anna\n", ""))


@pytest.mark.parametrize("change", [change_a_byte, change_a_label, remove_a_row])
def test_any_change_of_the_data_is_another_identity(corpus, change):
    before = identity(recordings.list_recordings("manifest", corpus))
    change(corpus)
    assert identity(recordings.list_recordings("manifest", corpus)) != before


def test_other_settings_and_other_code_are_another_identity(corpus, monkeypatch, tmp_path):
    listed = recordings.list_recordings("manifest", corpus)
    before = identity(listed)
    assert identity(listed, {"num_shards": 9}) != before
    copies = [Path(shutil.copy(path, tmp_path)) for path in recordings.code_paths()]
    monkeypatch.setattr(recordings, "code_paths", lambda: copies)
    assert identity(listed) == before
    with (tmp_path / "mel.py").open("a") as stream:
        stream.write("# changed\n")
    assert identity(listed) != before


def test_what_cannot_be_read_has_no_hash_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "dangling", "none", "."):
        assert recordings.file_sha256(tmp_path / name) == ""


def test_the_number_of_shards_follows_the_size_of_the_data(corpus):
    listed = recordings.find_recordings("manifest", corpus)
    assert recordings.choose_num_shards(listed.column("num_bytes")) == 8
    assert recordings.choose_num_shards([2**30] * 24) == 24 * 2**30 // (64 * 2**20)


def test_a_key_that_is_there_twice_is_refused(corpus, monkeypatch):
    utterance = Utterance("manifest/a", corpus / "anna/angry0.wav", "sad", "anna", "manifest")
    monkeypatch.setattr(manifest, "read", lambda root, **_: [utterance, utterance])
    with pytest.raises(CorpusError, match="found the key manifest/a twice"):
        recordings.list_recordings("manifest", corpus)


def test_an_unknown_corpus_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'emodb'"):
        recordings.list_recordings("emobd", tmp_path)
