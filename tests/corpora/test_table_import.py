"""A stranger's table becomes a manifest, row by row."""

import csv
import re

import numpy as np
import pytest

from ser_keras.audio import write_wav
from ser_keras.corpora import manifest
from ser_keras.corpora.csv_table import open_table
from ser_keras.corpora.recording_index import RecordingIndex
from ser_keras.corpora.table_columns import choose_columns, question
from ser_keras.corpora.table_import import import_rows, leave_out_unreadable, manifest_rows
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.files import write_csv
from tests import trees

COLUMNS = {"path": "path", "label": "label", "speaker": "speaker"}


def table_at(root, text, name="strange.csv"):
    path = root / name
    path.write_text(text, encoding="utf-8")
    return open_table(path)


def imported(root, text, recordings, columns=COLUMNS, patterns=None, label_map=None, **options):
    """Imports a table whose recordings lie below `audio`; paths are relative to that."""
    for name in recordings:
        trees.write_noise(root / "audio" / name)
    (root / "audio").mkdir(exist_ok=True)
    index = RecordingIndex(root / "audio", **options)
    result = import_rows(
        table_at(root, text), columns, dict(patterns or {}), label_map or {}, index
    )
    for row in result.rows:
        row["path"] = row["path"].removeprefix(f"{root / 'audio'}/")
    return result


def paths(result):
    return [row["path"] for row in result.rows]


def reasons(result):
    return [row["reason"] for row in result.left_out]


@pytest.mark.parametrize(
    ("written", "recording"),
    [
        ("a/1.wav", "a/1.wav"),
        ("a\\1.wav", "a/1.wav"),
        ("a/1", "a/1.flac"),
        ("a/1.wav", "a/1.flac"),
        ("A/1.WAV", "a/1.wav"),
        ("1", "a/1.wav"),
        ("1.wav", "a/b/1.mp3"),
        ("spk.01.utt", "a/spk.01.utt.wav"),
        ("spk.01.utt", "spk.01.utt.opus"),
        ("é.wav", "e\u0301.wav"),
        ("e\u0301", "é.wav"),
    ],
)
def test_a_path_or_an_id_finds_its_recording(tmp_path, written, recording):
    result = imported(
        tmp_path, f"path,label,speaker\n{written},sad,ann\n", [recording, "other.wav"]
    )
    assert paths(result) == [recording]
    assert result.left_out == []


@pytest.mark.parametrize(
    "written",
    ["C:\\data\\{}.wav", "/home/bob/data/{}.wav", "data/{}.wav", "\\\\srv\\x\\data\\{}.wav"],
)
def test_folders_of_another_computer_are_passed_over_for_all_rows_alike(tmp_path, written):
    names = ["a/1", "a/2", "b/1"]
    written = [
        written.format(name.replace("/", "\\" if "\\" in written else "/")) for name in names
    ]
    text = "path,label,speaker\n" + "".join(f"{path},sad,ann\n" for path in written)
    result = imported(tmp_path, text, [f"{name}.wav" for name in names])
    assert paths(result) == ["a/1.wav", "a/2.wav", "b/1.wav"]


@pytest.mark.parametrize(
    ("written", "recordings", "reason"),
    [
        ("2.wav", ["1.wav"], "no such file"),
        ("b/1.wav", ["a/1.wav", "b/2.wav"], "no such file"),
        ("1", ["a/1.wav", "b/1.wav"], "several files, such as"),
        ("1", ["1.wav", "1.flac"], "several files, such as"),
        ("../strange.csv", ["1.wav"], "leads out of"),
        ("/etc/hostname", ["1.wav"], "leads out of"),
        ("a\0.wav", ["1.wav"], "a zero byte"),
    ],
)
def test_a_row_without_its_recording_costs_only_itself(tmp_path, written, recordings, reason):
    text = f"path,label,speaker\n{written},sad,ann\ngood.wav,sad,ann\n"
    result = imported(tmp_path, text, [*recordings, "good.wav"])
    assert paths(result) == ["good.wav"]
    (row,) = result.left_out
    assert row["where"].endswith("strange.csv:2")
    assert row["reason"].startswith(reason)


@pytest.mark.parametrize("written", ["linked.wav", "linked", "folder/1.wav"])
def test_a_link_out_of_the_folder_is_followed_only_where_it_is_allowed(tmp_path, written):
    outside = trees.write_noise(tmp_path / "outside" / "1.wav")
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "linked.wav").symlink_to(outside)
    (tmp_path / "audio" / "folder").symlink_to(outside.parent)
    text = f"path,label,speaker\n{written},sad,ann\n"
    assert reasons(imported(tmp_path, text, []))[0].startswith("leads out of")
    assert len(paths(imported(tmp_path, text, [], allow_outside=True))) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1.wav,,ann", "empty label"),
        ("1.wav,sad,", "empty speaker"),
        (",sad,ann", "empty path"),
        ("1.wav,sad", "found 2 fields, expected 3"),
        ("1.wav,sad,ann,ben", "found 4 fields, expected 3"),
    ],
)
def test_an_incomplete_row_costs_only_itself(tmp_path, row, reason):
    result = imported(
        tmp_path, f"path,label,speaker\n{row}\ngood.wav,sad,ann\n", ["1.wav", "good.wav"]
    )
    assert paths(result) == ["good.wav"]
    assert reasons(result)[0].startswith(reason)


def test_a_recording_with_two_rows_is_there_once_and_not_at_all_where_they_contradict(tmp_path):
    rows = ("1.wav,sad,ann", "1,sad,ann", "2.wav,sad,ann", "2.wav,happy,ann", "3.wav,sad,ann")
    rows = (*rows, "./3.wav,sad,ben", "4.wav,sad,ann")
    text = "path,label,speaker\n" + "\n".join(rows) + "\n"
    result = imported(tmp_path, text, ["1.wav", "2.wav", "3.wav", "4.wav"])
    assert paths(result) == ["1.wav", "4.wav"]
    assert len(result.left_out) == 5
    assert "sad of ann, happy of ann" in reasons(result)[1]
    assert reasons(result)[0].startswith("the same recording as in")


def test_labels_are_renamed_and_left_out(tmp_path):
    text = "path,label,speaker\n1.wav, Anger,ann\n2.wav,xxx,ann\n3.wav,sad,ann\n"
    names = ["1.wav", "2.wav", "3.wav"]
    result = imported(tmp_path, text, names, label_map={"anger": "angry", "xxx": ""})
    assert [row["label"] for row in result.rows] == ["angry", "sad"]
    assert reasons(result) == ["label xxx is left out"]
    with pytest.raises(ConfigError, match="unknown label 'angr'; did you mean 'anger'"):
        imported(tmp_path, text, [], label_map={"angr": "angry"})


def test_words_of_other_tables_become_those_of_a_manifest(tmp_path):
    text = (
        "path,label,speaker,gender,split\n1.wav,sad,ann,F,dev\n2.wav,sad,ben,männlich,Training\n"
        "3.wav,sad,cem,x,fold1\n"
    )
    columns = COLUMNS | {"gender": "gender", "split": "split"}
    result = imported(tmp_path, text, ["1.wav", "2.wav", "3.wav"], columns)
    assert [(row["gender"], row["split"]) for row in result.rows] == [
        ("female", "valid"),
        ("male", "train"),
        ("", ""),
    ]
    assert {role: dict(words) for role, words in result.unknown_words.items()} == {
        "gender": {"x": 1},
        "split": {"fold1": 1},
    }


def test_columns_are_taken_from_the_path(tmp_path):
    text = "file\nhappy/ann_1.wav\nsad\\ben_2.wav\nsad/3.wav\n"
    patterns = {"label": re.compile("^([^/]+)/"), "speaker": re.compile("([^/_]+)_[^/]*$")}
    recordings = ["happy/ann_1.wav", "sad/ben_2.wav", "sad/3.wav"]
    result = imported(tmp_path, text, recordings, {"path": "file"}, patterns)
    assert [(row["label"], row["speaker"]) for row in result.rows] == [
        ("happy", "ann"),
        ("sad", "ben"),
    ]
    assert reasons(result) == ["--from-path finds no speaker in it"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "file_id,emotion,raw_text,normalized_text,speaker_id,gender,age",
            "file_id emotion speaker_id normalized_text gender",
        ),
        ("File Name;Emotion Label;Speaker ID", "File Name,Emotion Label,Speaker ID"),
        ("wav\tclass\tactor\tsex\tsubset", "wav class actor sex subset"),
        ("path,file,label,emotion,speaker,actor", "path label speaker"),
        ("id,filename,emo,spk", "filename emo spk"),
        ("utterance|category|subject|dialog", "utterance category subject dialog"),
    ],
)
def test_usual_names_of_columns_are_guessed(tmp_path, header, expected):
    table = table_at(tmp_path, header + "\n")
    names = expected.split("," if "," in expected else " ")
    assert set(choose_columns(table, {}, set()).values()) == set(names)


@pytest.mark.parametrize(
    ("header", "role", "sentence"),
    [
        ("path,emotion,class,speaker", "label", "--columns label=emotion or --columns label=class"),
        (
            "path,mood,speaker",
            "label",
            "path, mood, speaker. Add --columns label=COLUMN; or,",
        ),
        (
            "path,label,who",
            "speaker",
            "'speaker=^([^_]+)_' for anna_01.wav. The first path is x.",
        ),
        (",path,label", "speaker", "among path, label. Add"),
        ("sound,label,speaker", "path", "names the recordings among sound, label, speaker. Add"),
    ],
)
def test_what_cannot_be_known_is_asked_for_with_its_options(tmp_path, header, role, sentence):
    row = re.sub("[^,]+", "x", header)
    table = table_at(tmp_path, f"{header}\n{row}\n")
    columns = choose_columns(table, {}, set())
    assert role not in columns
    assert sentence in question(table, role, columns)


def test_named_columns_come_first_and_misspelt_ones_are_corrected(tmp_path):
    table = table_at(tmp_path, "file,label,mood,speaker,text\n")
    columns = choose_columns(table, {"label": "mood", "sentence": ""}, {"speaker"})
    assert columns == {"label": "mood", "path": "file"}
    with pytest.raises(ConfigError, match="unknown column 'moood'; did you mean 'mood'"):
        choose_columns(table, {"label": "moood"}, set())
    with pytest.raises(ConfigError, match="column of a manifest 'lable'; did you mean 'label'"):
        choose_columns(table, {"lable": "mood"}, set())


def test_what_was_imported_is_read_as_a_manifest(tmp_path):
    for name in ("audio/a b/1.wav", "audio/2.wav"):
        trees.write_noise(tmp_path / name)
    table = table_at(tmp_path, 'path;label;speaker\na b/1.wav;"so; so";Zoë\n2.wav;sad;"B, en"\n')
    result = import_rows(table, COLUMNS, {}, {}, RecordingIndex(tmp_path / "audio"))
    for folder, outside in ((tmp_path, False), (tmp_path / "elsewhere", True)):
        rows = manifest_rows(result.rows, folder)
        assert [row["path"].startswith("/") for row in rows] == [outside, outside]
        write_csv(folder / "table.csv", rows)
        utterances = manifest.read(folder / "table.csv", allow_outside=outside)
        assert [(u.label, u.speaker) for u in utterances] == [("so; so", "Zoë"), ("sad", "B, en")]
        assert utterances[0].path == tmp_path / "audio/a b/1.wav"
        with (folder / "table.csv").open(newline="") as stream:
            assert next(csv.reader(stream)) == ["path", "label", "speaker"]


def test_recordings_that_cannot_be_decoded_cost_only_their_rows(tmp_path):
    write_wav(tmp_path / "good.wav", np.sin(np.arange(16000) / 10).astype(np.float32) / 2)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    write_wav(tmp_path / "silent.wav", np.zeros(16000, np.float32))
    names = ("text", "empty", "good", "silent")
    table = table_at(tmp_path, "path,label,speaker\n" + "".join(f"{n},sad,ann\n" for n in names))
    result = import_rows(table, COLUMNS, {}, {}, RecordingIndex(tmp_path))
    leave_out_unreadable(result, lambda rows: rows)
    assert [row["written"] for row in result.rows] == ["good"]
    assert [row["path"] for row in result.left_out] == ["text", "empty", "silent"]
    assert all(reasons(result))


@pytest.mark.parametrize("text", ["path,label,speaker\n", "path,label,speaker\n\n,,\n"])
def test_a_table_without_rows_is_refused(tmp_path, text):
    with pytest.raises(CorpusError, match="found no rows below the header"):
        imported(tmp_path, text, [])
