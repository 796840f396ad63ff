from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.corpora import get_corpus
from ser_keras.errors import CorpusError
from tests import trees

NEMO = get_corpus("nemo")


@pytest.mark.parametrize(
    ("stem", "speaker", "gender", "sentence", "label"),
    [
        ("EB0_neutral_13", "EB0", "female", "13", "neutral"),
        ("WR0_surprised_70", "WR0", "male", "70", "surprised"),
        ("MP0_sadness_51", "MP0", "male", "51", "sad"),
        ("KD0_happiness_3", "KD0", "female", "3", "happy"),
        ("SM0_fear_89", "SM0", "male", "89", "fearful"),
        ("IC0_anger_90", "IC0", "female", "90", "angry"),
    ],
)
def test_name_gives_every_field(stem, speaker, gender, sentence, label):
    expected = {"speaker": speaker, "gender": gender, "sentence": sentence, "label": label}
    assert NEMO.parse_stem(stem) == expected


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("XX0_anger_13", "speaker 'XX0'"),
        ("KS0_boredom_13", "emotion 'boredom'"),
        ("KS0_anger_91", "sentence '91'"),
        ("KS0_anger_013", "sentence '013'"),
        ("KS0_anger", "such as KS0_anger_13"),
        ("KS0_anger_٣", "such as KS0_anger_13"),
        ("KS0_anger_3_copy", "such as KS0_anger_13"),
    ],
)
def test_foreign_name_is_refused(stem, message):
    with pytest.raises(CorpusError, match=message):
        NEMO.parse_stem(stem)


@given(st.text(max_size=14))
def test_any_other_text_is_a_corpus_error(stem):
    with pytest.raises(CorpusError, match="nEMO"):
        NEMO.parse_stem(stem)


def test_a_part_is_read_only_as_a_part(tmp_path):
    root = trees.nemo(tmp_path / "corpus")
    with pytest.raises(CorpusError, match="found 54 of 4481 utterances; label angry has 9, exp"):
        NEMO.read(root)
    utterances = NEMO.read(root, allow_partial=True)
    assert Counter(u.speaker for u in utterances) == dict.fromkeys(trees.NEMO_SPEAKERS, 18)
    assert {u.gender for u in utterances if u.speaker == "KD0"} == {"female"}
    assert {u.corpus for u in utterances} == {"nemo"}


def test_the_samples_folder_itself_may_be_given(tmp_path):
    root = trees.nemo(tmp_path / "corpus")
    of_samples = NEMO.read(root / "samples", allow_partial=True)
    assert of_samples == NEMO.read(root, allow_partial=True)


@pytest.mark.parametrize("folder", [".", "samples"])
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("\tanger\t", "\tfear\t", r"data\.tsv:8: found label 'fearful' of KS0_anger_1, expected"),
        ("        KD0\t", "        KS0\t", "found speaker 'KS0' of KD0_neutral_1"),
        ("MP0\tmale", "MP0\tfemale", "found gender 'female' of MP0_neutral_1"),
        ("KS0_fear_2.wav", "KS0_fear_2_new.wav", "such as KS0_anger_13"),
        ("\tspeaker_id", "\tspeaker", "no column 'speaker_id'"),
        ("\t23\n", "\n", "found 6 fields, expected 7"),
    ],
)
def test_a_table_that_contradicts_the_names_is_refused(tmp_path, folder, before, after, message):
    root = trees.nemo(tmp_path / "corpus")
    text = (root / "data.tsv").read_text(encoding="utf-8")
    assert before in text
    (root / "data.tsv").write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        NEMO.read(root / folder, allow_partial=True)


def test_a_recording_without_a_row_is_named(tmp_path):
    root = trees.nemo(tmp_path / "corpus")
    trees.write_noise(root / "samples" / "KS0_anger_77.wav")
    with pytest.raises(CorpusError, match=r"no row of 1 recordings, such as KS0_anger_77\.wav"):
        NEMO.read(root)
    assert len(NEMO.read(root, allow_partial=True)) == 55


@pytest.mark.realdata
def test_the_real_part_has_its_counts(real_data):
    with pytest.raises(CorpusError, match="found 1995 of 4481"):
        NEMO.read(real_data / "nemo")
    utterances = NEMO.read(real_data / "nemo", allow_partial=True)
    assert len(utterances) == len({u.key for u in utterances}) == 1995
    assert Counter(u.label for u in utterances) == {
        "neutral": 360,
        "sad": 343,
        "angry": 335,
        "happy": 334,
        "fearful": 327,
        "surprised": 296,
    }
    assert Counter(u.gender for u in utterances) == {"female": 920, "male": 1075}
    assert len({u.sentence for u in utterances}) == 40
