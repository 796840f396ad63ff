"""Every corpus that a YAML file defines is read: from names of real files, and in full size."""

import csv
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_keras.corpora import get_corpus
from ser_keras.corpora.catalogue import DEFINITIONS
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.labels import emotion_of_word
from ser_keras.protocols import build_protocol, protocol_names
from tests.architecture import ROOT
from tests.corpora import miniature

DEFINED = sorted(path.stem for path in DEFINITIONS.glob("*.yaml"))
CORPORA = {name: get_corpus(name) for name in DEFINED}
BY_NAME = [name for name in DEFINED if CORPORA[name].definition.pattern]
BY_TABLE = [name for name in DEFINED if name not in BY_NAME]
SHARED = [name for name in DEFINED if CORPORA[name].info.speaker_dependent]
# A tree of more files takes seconds.
MANY = 5000


def real_names(corpus):
    path = ROOT / "tests" / "corpora" / "names" / f"{corpus}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["name"], row["label"], row["speaker"]) for row in csv.DictReader(file)]


def num_utterances(name):
    return CORPORA[name].info.utterances or 0


SIZED = [
    pytest.param(name, marks=pytest.mark.slow) if num_utterances(name) > MANY else name
    for name in DEFINED
]


@pytest.mark.parametrize("name", BY_NAME)
def test_names_of_real_files_give_label_and_speaker(name):
    rows = real_names(name)
    assert len(rows) >= 3
    for stem, label, speaker in rows:
        facts = CORPORA[name].parse_stem(stem)
        assert (stem, facts["label"], facts["speaker"]) == (stem, label, speaker)


@pytest.mark.parametrize("name", BY_TABLE)
def test_rows_of_a_table_give_label_and_speaker(tmp_path, name):
    corpus = CORPORA[name]
    miniature.build_with_rows(tmp_path, corpus, real_names(name))
    utterances = corpus.read(tmp_path, allow_partial=True)
    assert sorted((u.path.stem, u.label, u.speaker) for u in utterances) == sorted(real_names(name))


@pytest.mark.parametrize("name", SIZED)
def test_a_tree_of_the_published_counts_is_complete(tmp_path, caplog, name):
    corpus = CORPORA[name]
    utterances = corpus.read(miniature.build(tmp_path, corpus))
    labels, speakers = (Counter(getattr(u, k) for u in utterances) for k in ("label", "speaker"))
    assert set(labels) == set(corpus.info.labels)
    assert ("published counts are not known" in caplog.text) == (corpus.info.utterances is None)
    if corpus.info.utterances is not None:
        assert len(utterances) == corpus.info.utterances
        assert labels == dict(corpus.info.labels)
    assert set(corpus.info.speakers) <= set(speakers)


@pytest.mark.parametrize("name", [n for n in BY_NAME if 0 < num_utterances(n) < 1000])
def test_one_recording_less_is_refused(tmp_path, name):
    corpus = CORPORA[name]
    miniature.build(tmp_path, corpus)
    next(tmp_path.rglob("*.wav")).unlink()
    number = corpus.info.utterances
    with pytest.raises(CorpusError, match=f"found {number - 1} of {number} utterances"):
        corpus.read(tmp_path)


@pytest.mark.parametrize("name", BY_NAME)
@given(data=st.data())
def test_a_name_that_fits_the_pattern_is_understood_or_refused_by_its_code(name, data):
    corpus = CORPORA[name]
    pattern = corpus.definition.pattern
    stem = data.draw(st.from_regex(pattern, fullmatch=True) | st.text(max_size=20))
    try:
        facts = corpus.parse_stem(stem)
    except CorpusError as error:
        message = str(error)
    else:
        message = f"{corpus.info.title}: "
        assert facts["label"] in corpus.info.labels
        assert facts["speaker"]
    assert message.startswith(f"{corpus.info.title}: ")


@pytest.mark.parametrize("name", DEFINED)
def test_definitions_say_where_their_facts_are_from(name):
    info = CORPORA[name].info
    assert {"layout", "counts"} <= set(info.sources)
    assert all((info.languages, info.licence, info.citation, info.home))
    assert info.access.endswith(".")
    assert all(remark[0].isupper() or remark[0].isdigit() for remark in info.remarks)
    assert [label for label in info.labels if emotion_of_word(label)] == []
    assert bool(info.protocols) != bool(info.speaker_dependent)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("end", ["loso", "groups5"])
def test_a_corpus_without_new_speakers_refuses_to_test_them(name, end):
    info = CORPORA[name].info
    with pytest.raises(ConfigError) as error:
        build_protocol(f"{name}-{end}", [])
    assert info.speaker_dependent in str(error.value)
    assert f"Take {name}-speaker-dependent-5" in str(error.value)
    assert protocol_names(name) == [f"{name}-speaker-dependent-5"]


def test_corpora_of_two_speakers_or_unknown_ones_are_among_them():
    assert {"tess", "mesd", "resd"} <= set(SHARED)


def test_numbers_that_run_on_from_emotion_to_emotion_have_the_text_of_their_block():
    parse = CORPORA["esd"].parse_stem
    same = ["0011/Neutral/0011_000001", "0011/Angry/0011_000351", "0011/Surprise/0011_001401"]
    assert {parse(name)["sentence"] for name in same} == {"1"}
    assert parse("0011/Surprise/0011_001750")["sentence"] == "350"
