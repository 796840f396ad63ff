import itertools
import shutil
from collections import Counter

import pytest

from ser_keras.corpora import get_corpus
from ser_keras.errors import CorpusError
from tests import trees

RAVDESS = get_corpus("ravdess")

LABELS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"]


@pytest.mark.parametrize(
    ("stem", "label", "speaker", "gender", "sentence", "channel", "modality"),
    [
        ("03-01-01-01-01-01-01", "neutral", "01", "male", "01", "speech", "audio"),
        ("03-01-06-01-02-01-12", "fearful", "12", "female", "02", "speech", "audio"),
        ("03-01-08-02-02-02-24", "surprised", "24", "female", "02", "speech", "audio"),
        ("03-02-05-02-01-01-07", "angry", "07", "male", "01", "song", "audio"),
        ("02-01-07-01-01-02-18", "disgusted", "18", "female", "01", "speech", "video"),
    ],
)
def test_name_gives_every_field(stem, label, speaker, gender, sentence, channel, modality):
    name = RAVDESS.parse_stem(stem)
    assert (name["label"], name["speaker"], name["gender"]) == (label, speaker, gender)
    assert (name["sentence"], name["channel"], name["modality"]) == (sentence, channel, modality)


def test_every_name_of_the_corpus_is_understood():
    for emotion, actor in itertools.product(range(1, 9), range(1, 25)):
        name = RAVDESS.parse_stem(f"03-01-{emotion:02}-01-02-02-{actor:02}")
        assert name["label"] == LABELS[emotion - 1]
        assert name["gender"] == ("male" if actor in range(1, 25, 2) else "female")


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("03-01-09-01-01-01-01", "emotion '09'"),
        ("03-01-01-01-01-01-25", "actor '25'"),
        ("03-01-01-01-03-01-01", "statement '03'"),
        ("03-01-01-01-01-01", "such as 03-01-06-01-02-01-12"),
        ("3-1-1-1-1-1-1", "statement '1'"),
        ("notes", "such as 03-01-06-01-02-01-12"),
    ],
)
def test_foreign_name_is_refused(stem, message):
    with pytest.raises(CorpusError, match=message):
        RAVDESS.parse_stem(stem)


def test_full_tree_has_the_published_counts(tmp_path):
    utterances = RAVDESS.read(trees.ravdess(tmp_path / "corpus"))
    assert len(utterances) == len({u.key for u in utterances}) == 1440
    assert Counter(u.label for u in utterances)["neutral"] == 96
    assert set(Counter(u.speaker for u in utterances).values()) == {60}
    assert Counter(u.sentence for u in utterances) == {"01": 720, "02": 720}


def test_flac_beside_wav_is_read_at_any_depth(tmp_path):
    root = trees.ravdess(tmp_path / "corpus" / "inner" / "deep", actors=[3])
    for path in sorted(root.rglob("*.wav"))[:30]:
        path.rename(path.with_suffix(".FLAC"))
    assert len(RAVDESS.read(tmp_path / "corpus", allow_partial=True)) == 60


def test_missing_recording_names_the_actor(tmp_path):
    root = trees.ravdess(tmp_path / "corpus")
    (root / "Actor_07" / "03-01-01-01-01-01-07.wav").unlink()
    with pytest.raises(CorpusError) as error:
        RAVDESS.read(root)
    assert "found 1439 of 1440" in str(error.value)
    assert "speaker 07 has 59, expected 60" in str(error.value)
    assert "--allow-partial" in str(error.value)


def test_doubled_copy_is_refused_or_numbered(tmp_path):
    root = trees.ravdess(tmp_path / "corpus")
    shutil.copytree(root, root / "audio_speech_actors_01-24")
    with pytest.raises(CorpusError, match="1440 recordings are there more than once"):
        RAVDESS.read(root)
    utterances = RAVDESS.read(root, allow_partial=True)
    assert len({u.key for u in utterances}) == 2880
    assert sum(u.key.endswith("#2") for u in utterances) == 1440


def test_songs_and_mac_files_are_left_out(tmp_path, caplog):
    root = trees.ravdess(tmp_path / "corpus", actors=[1])
    for name in ("03-02-01-01-01-01-01.wav", "02-01-01-01-01-01-01.wav", "._03-01-x.wav"):
        trees.write_noise(root / "Actor_01" / name)
    utterances = RAVDESS.read(root, allow_partial=True)
    assert len(utterances) == 60
    assert "left out 2 songs" in caplog.text


def test_foreign_file_is_named(tmp_path):
    root = trees.ravdess(tmp_path / "corpus", actors=[1])
    trees.write_noise(root / "take one.wav")
    with pytest.raises(CorpusError, match="'take one'"):
        RAVDESS.read(root, allow_partial=True)


@pytest.mark.realdata
def test_real_copy_is_complete(real_data):
    utterances = RAVDESS.read(real_data / "ravdess")
    assert len(utterances) == 1440
    assert Counter(u.gender for u in utterances) == {"female": 720, "male": 720}
