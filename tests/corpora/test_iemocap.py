from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.corpora import iemocap
from ser_keras.errors import CorpusError
from tests import trees

TURNS = {
    "Ses01F_impro01_F000": "neu",
    "Ses01F_impro01_M003": "ang",
    "Ses03M_impro05a_F012": "exc",
    "Ses03M_impro05a_M013": "fru",
    "Ses05M_script01_1b_F012": "sad",
    "Ses05M_script01_1b_M001": "hap",
    "Ses02F_script03_2_M040": "xxx",
}


@pytest.mark.parametrize(
    ("stem", "session", "speaker", "gender", "style", "sentence"),
    [
        ("Ses01F_impro01_F000", "1", "Ses01F", "female", "improvised", ""),
        ("Ses01F_impro01_M003", "1", "Ses01M", "male", "improvised", ""),
        ("Ses03M_impro05a_F012", "3", "Ses03F", "female", "improvised", ""),
        ("Ses05M_script01_1b_F012", "5", "Ses05F", "female", "scripted", "script01_1-F012"),
        ("Ses02F_script03_2_M040", "2", "Ses02M", "male", "scripted", "script03_2-M040"),
        ("Ses04M_script01_3_FXX0", "4", "Ses04F", "female", "scripted", ""),
    ],
)
def test_name_gives_every_field(stem, session, speaker, gender, style, sentence):
    assert iemocap.parse_stem(stem) == {
        "session": session,
        "speaker": speaker,
        "gender": gender,
        "style": style,
        "sentence": sentence,
    }


@given(
    session=st.integers(1, 5),
    markers=st.sampled_from("FM"),
    dialog=st.sampled_from(["impro01", "impro05a", "impro08b", "script01_1", "script01_1b"]),
    speaker=st.sampled_from("FM"),
    turn=st.integers(0, 999),
)
def test_speaker_is_the_letter_of_the_last_field(session, markers, dialog, speaker, turn):
    name = iemocap.parse_stem(f"Ses0{session}{markers}_{dialog}_{speaker}{turn:03}")
    assert name["speaker"] == f"Ses0{session}{speaker}"
    assert name["session"] == str(session)


def test_scripted_line_is_the_same_sentence_in_every_session():
    first = iemocap.parse_stem("Ses01F_script01_1_M007")
    retake = iemocap.parse_stem("Ses05M_script01_1b_M007")
    assert first["sentence"] == retake["sentence"] != ""


@pytest.mark.parametrize(
    "stem",
    ["Ses06F_impro01_F000", "Ses01F_impro01_X000", "Ses01F_impro01_F00", "Ses01F_dance01_F000", ""],
)
def test_foreign_name_is_refused(stem):
    with pytest.raises(CorpusError, match=r"IEMOCAP: .*expected"):
        iemocap.parse_stem(stem)


def test_read_keeps_five_labels_and_skips_clutter(tmp_path):
    root = trees.iemocap(tmp_path / "corpus", TURNS)
    utterances = {u.key: u for u in iemocap.read(root, allow_partial=True)}
    assert {key: u.label for key, u in utterances.items()} == {
        "iemocap/Ses01F_impro01_F000": "neutral",
        "iemocap/Ses01F_impro01_M003": "angry",
        "iemocap/Ses03M_impro05a_F012": "excited",
        "iemocap/Ses05M_script01_1b_F012": "sad",
        "iemocap/Ses05M_script01_1b_M001": "happy",
    }
    man = utterances["iemocap/Ses01F_impro01_M003"]
    assert (man.speaker, man.session, man.gender, man.style) == (
        "Ses01M",
        "1",
        "male",
        "improvised",
    )
    assert all(u.path.is_file() and u.path.stem == u.key.split("/")[1] for u in utterances.values())


def test_part_of_the_corpus_is_refused(tmp_path):
    root = trees.iemocap(tmp_path / "corpus", TURNS)
    with pytest.raises(CorpusError, match=r"found 5 of 5531.*label angry has 1, expected 1103"):
        iemocap.read(root)


def test_labelled_turn_without_recording_is_named(tmp_path, caplog):
    root = trees.iemocap(tmp_path / "corpus", TURNS)
    gone = root / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav"
    gone.unlink()
    with pytest.raises(CorpusError, match=r"1 labelled recordings.*Ses01F_impro01_M003\.wav"):
        iemocap.read(root)
    assert len(iemocap.read(root, allow_partial=True)) == 4
    assert "Ses01F_impro01_M003.wav" in caplog.text


@pytest.mark.parametrize(
    "line",
    ["[0.0 - 1.0]\tSes01F_impro01_F000\tmad\t[1, 1, 1]", "[0.0 - 1.0] Ses01F_impro01_F000 neu"],
)
def test_unreadable_label_line_is_named(tmp_path, line):
    root = trees.iemocap(tmp_path / "corpus", {"Ses01F_impro01_F000": "neu"})
    labels = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    labels.write_text(f"% header\n{line}\n")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.txt:2: found .*expected '\[start"):
        iemocap.read(root, allow_partial=True)


def test_folder_without_sessions_says_what_to_give(tmp_path):
    with pytest.raises(CorpusError, match=r"found no utterances, expected 5531.*Session1"):
        iemocap.read(tmp_path)


def by_session(utterances):
    return Counter(u.session for u in utterances)


def test_full_size_tree_has_the_published_counts(tmp_path):
    root = trees.iemocap_full(tmp_path / "corpus")
    utterances = iemocap.read(root)
    improvised = [u for u in utterances if u.style == "improvised" and u.label != "excited"]
    assert len(utterances) == 5531
    assert len(improvised) == 2280
    assert [*map(by_session(utterances).get, "12345")] == [1085, 1023, 1151, 1031, 1241]
    assert [*map(by_session(improvised).get, "12345")] == [422, 393, 538, 370, 557]
    women_and_men = [(217, 205), (185, 208), (264, 274), (149, 221), (298, 259)]
    by_speaker = Counter(u.speaker for u in improvised)
    assert by_speaker == {
        f"Ses0{session}{letter}": count
        for session, counts in enumerate(women_and_men, start=1)
        for letter, count in zip("FM", counts, strict=True)
    }
    assert Counter(u.label for u in utterances) == {
        "angry": 1103,
        "happy": 595,
        "excited": 1041,
        "neutral": 1708,
        "sad": 1084,
    }


def test_full_size_tree_with_a_turn_in_another_session_is_refused(tmp_path):
    turns = trees.iemocap_turns()
    moved = next(turn for turn in turns if turn.startswith("Ses01") and turns[turn] == "neu")
    turns["Ses02F_impro07_F000"] = turns.pop(moved)
    root = trees.iemocap(tmp_path / "corpus", turns, clutter=False)
    with pytest.raises(CorpusError, match=r"session 1 has 1084, expected 1085; session 2 has 1024"):
        iemocap.read(root)


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_label_files_of_any_editor_are_read(tmp_path, encoding, end):
    root = trees.iemocap(tmp_path / "corpus", TURNS)
    expected = iemocap.read(root, allow_partial=True)
    for path in root.glob("Session*/dialog/EmoEvaluation/Ses*.txt"):
        text = path.read_text() + "\nC-F1: Neutral; ()\t(\u00e4)\n"
        path.write_bytes(text.replace("\n", end).encode(encoding))
    assert iemocap.read(root, allow_partial=True) == expected


def test_a_label_file_without_a_header_is_read_in_utf_16(tmp_path):
    root = trees.iemocap(tmp_path / "corpus", {"Ses01F_impro01_F000": "neu"})
    path = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    path.write_bytes("[0.0 - 1.0]\tSes01F_impro01_F000\tsad\t[1, 1, 1]\r\n".encode("utf-16"))
    assert [u.label for u in iemocap.read(root, allow_partial=True)] == ["sad"]


@pytest.mark.parametrize("suffix", [".WAV", ".Wav"])
def test_recordings_and_label_files_may_end_in_capitals(tmp_path, suffix):
    root = trees.iemocap(tmp_path / "corpus", TURNS)
    expected = [u.key for u in iemocap.read(root, allow_partial=True)]
    for path in [*root.glob("Session*/sentences/wav/*/*.wav")]:
        path.rename(path.with_suffix(suffix))
    for path in [*root.glob("Session*/dialog/EmoEvaluation/Ses*.txt")]:
        path.rename(path.with_suffix(".TXT"))
    utterances = iemocap.read(root, allow_partial=True)
    assert [u.key for u in utterances] == expected
    assert {u.path.suffix for u in utterances} == {suffix}
    assert all(u.path.is_file() for u in utterances)
