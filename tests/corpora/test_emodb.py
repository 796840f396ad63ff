from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ser_keras.corpora import get_corpus
from ser_keras.errors import CorpusError
from tests import trees

EMODB = get_corpus("emodb")

FOUR = tuple("WNFT")


@pytest.mark.parametrize(
    ("stem", "speaker", "gender", "sentence", "label", "version"),
    [
        ("03a01Fa", "03", "male", "a01", "happy", "a"),
        ("16b10Wb", "16", "female", "b10", "angry", "b"),
        ("09a07Ta", "09", "female", "a07", "sad", "a"),
        ("10b02La", "10", "male", "b02", "bored", "a"),
        ("13a04Ac", "13", "female", "a04", "fearful", "c"),
        ("11b09Ed", "11", "male", "b09", "disgusted", "d"),
    ],
)
def test_name_gives_every_field(stem, speaker, gender, sentence, label, version):
    assert EMODB.parse_stem(stem) == {
        "speaker": speaker,
        "gender": gender,
        "sentence": sentence,
        "label": label,
        "version": version,
    }


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("01a01Fa", "speaker '01'"),
        ("03a03Fa", "text 'a03'"),
        ("03a01Xa", "emotion 'X'"),
        ("03a01F", "such as 03a01Fa"),
        ("03a01Faa", "such as 03a01Fa"),
        ("٠٣a01Fa", "such as 03a01Fa"),
    ],
)
def test_foreign_name_is_refused(stem, message):
    with pytest.raises(CorpusError, match=message):
        EMODB.parse_stem(stem)


@given(st.text(max_size=9))
def test_any_other_text_is_a_corpus_error(stem):
    assume(f"{stem}.wav" not in trees.emodb_names())
    with pytest.raises(CorpusError, match="EmoDB"):
        EMODB.parse_stem(stem)


def test_full_tree_has_the_published_counts(tmp_path):
    utterances = EMODB.read(trees.emodb(tmp_path / "corpus"))
    assert len(utterances) == 535
    assert not [u for u in utterances if u.speaker == "08" and u.label == "disgusted"]
    assert len([u for u in utterances if u.speaker == "09" and u.label == "fearful"]) == 1


def test_four_emotions_read_only_as_a_part(tmp_path):
    names = [name for name in trees.emodb_names() if name[5] in FOUR]
    root = trees.emodb(tmp_path / "corpus", names=names)
    with pytest.raises(CorpusError, match=r"found 339 of 535.*label bored has 0, expected 81"):
        EMODB.read(root)
    utterances = EMODB.read(root, allow_partial=True)
    assert Counter(u.label for u in utterances) == {
        "angry": 127,
        "neutral": 79,
        "happy": 71,
        "sad": 62,
    }


def test_wav_folder_itself_may_be_given(tmp_path):
    root = trees.emodb(tmp_path / "corpus")
    assert [u.key for u in EMODB.read(root / "wav")] == [u.key for u in EMODB.read(root)]


@pytest.mark.realdata
def test_real_part_is_refused_or_accepted_as_a_part(real_data):
    with pytest.raises(CorpusError, match="found 339 of 535"):
        EMODB.read(real_data / "emodb")
    assert len(EMODB.read(real_data / "emodb", allow_partial=True)) == 339


@pytest.mark.realdata
def test_real_two_second_copy_is_complete(real_data):
    assert len(EMODB.read(real_data / "emodb-2s")) == 535
