from collections import Counter

import pytest

from ser_keras.corpora import casia
from ser_keras.errors import CorpusError
from tests import trees


@pytest.mark.parametrize(
    ("stem", "speaker", "gender", "label", "sentence"),
    [
        ("liuchanhg-angry-201", "liuchanhg", "female", "angry", "201"),
        ("ZhaoZuoxiang-surprise-250", "zhaozuoxiang", "male", "surprised", "250"),
        ("WANGZHE-Fear-230", "wangzhe", "male", "fearful", "230"),
        ("zhaoquanyin-neutral-001", "zhaoquanyin", "female", "neutral", "001"),
        ("Chang.Liu-sad-312", "liuchanhg", "female", "sad", "chang.liu-sad-312"),
    ],
)
def test_name_gives_every_field(stem, speaker, gender, label, sentence):
    assert casia.parse_stem(stem) == {
        "speaker": speaker,
        "gender": gender,
        "label": label,
        "sentence": sentence,
    }


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("lisi-angry-201", "speaker 'lisi'"),
        ("wangzhe-bored-201", "emotion 'bored'"),
        ("wangzhe-angry", "expected <speaker>/<emotion>/<number>"),
        ("wangzhe-angry-201b", "expected <speaker>/<emotion>/<number>"),
        ("201", "expected <speaker>/<emotion>/<number>"),
    ],
)
def test_foreign_name_is_refused(stem, message):
    with pytest.raises(CorpusError, match=message):
        casia.parse_stem(stem)


def test_public_subset_has_the_published_counts(tmp_path):
    utterances = casia.read(trees.casia(tmp_path / "corpus"))
    assert len({u.key for u in utterances}) == 1200
    assert Counter(u.speaker for u in utterances)["zhaozuoxiang"] == 300
    assert set(Counter(u.sentence for u in utterances).values()) == {24}


def test_full_corpus_is_accepted_and_one_missing_is_not(tmp_path):
    root = trees.casia(tmp_path / "corpus", numbers=range(1, 301))
    trees.casia(
        root,
        speakers=["Chang.Liu", "Zhe.Wang", "Quanyin.Zhao", "Zuoxiang.Zhao"],
        numbers=range(1, 101),
    )
    utterances = casia.read(root)
    assert len({u.key for u in utterances}) == 9600
    own = [u for u in utterances if u.key.startswith("casia/zhe.wang")]
    assert {u.speaker for u in own} == {"wangzhe"}
    assert len({u.sentence for u in own}) == 600
    (root / "wangzhe" / "sad" / "7.wav").unlink()
    with pytest.raises(CorpusError, match=r"full corpus.*found 9599 of 9600.*label sad has 1599"):
        casia.read(root)


def test_doubled_subset_is_not_taken_for_the_full_corpus(tmp_path):
    root = trees.casia(tmp_path / "corpus")
    trees.casia(root / "again")
    with pytest.raises(CorpusError, match=r"found 2400 of 1200.*1200 recordings are there more"):
        casia.read(root)


def test_recording_outside_its_folders_is_named(tmp_path, monkeypatch):
    root = trees.casia(tmp_path / "corpus")
    trees.write_noise(root / "201.wav")
    monkeypatch.chdir(root)
    with pytest.raises(CorpusError, match="corpus-201'"):
        casia.read(".")
