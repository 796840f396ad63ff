"""One person, or one class, under two names."""

import pytest

from ser_keras.audit import AudioRow, audit_names
from ser_keras.audit.lookalikes import lookalikes
from ser_keras.corpora import CORPORA, get_corpus
from ser_keras.labels import CLASS_SETS, EMOTIONS


def rows(speakers=("anna", "ben"), labels=("happy", "sad")):
    return [
        AudioRow(f"{speaker}/{label}", label, speaker, "", f"{speaker} {label}", bytes(128))
        for speaker in speakers
        for label in labels
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("Anna", "anna"),
        ("anna", "anna "),
        ("Zoë", "zoe"),
        ("Zoe\u0308", "Zoë"),
        ("Müller", "mueller"),
        ("Łukasz", "Lukasz"),
        ("anna b", "anna_b"),
        ("anna-b", "annab"),
        ("O'Neill", "ONeill"),
        ("1", "01"),
        ("1", "1.0"),
        ("spk1", "spk001"),
        ("spk 1", "SPK-1"),
        ("03-1", "3_01"),
        ("\uff11", "1"),
        ("王芳", "王 芳"),
    ],
)
def test_speakers_that_are_written_in_two_ways_are_a_warning(names):
    (finding,) = audit_names(rows(names))
    assert (finding.check, finding.severity) == ("names", "warn")
    assert all(name.strip() in finding.message for name in names)
    assert len(finding.keys) == 4


@pytest.mark.parametrize(
    "names",
    [
        ("1", "10", "100", "11"),
        ("1-1", "11"),
        ("1.1", "11"),
        ("1.0", "10"),
        ("anna", "anne"),
        ("王芳", "王方"),
        ("?", "!"),
        ("が", "か"),
        ("Ses01F", "Ses01M"),
    ],
)
def test_speakers_with_other_names_are_none(names):
    assert audit_names(rows(names)) == []


def test_groups_that_share_a_way_of_writing_are_one():
    assert lookalikes(["Müller", "Mueller", "muller", "x"]) == [("Mueller", "Müller", "muller")]


@pytest.mark.parametrize(
    ("labels", "renamed"),
    [
        (("happy", "happiness"), "happiness=happy"),
        (("angry", "anger"), "anger=angry"),
        (("joy", "happiness"), "happiness=happy,joy=happy"),
        (("fearful", "fear"), "fear=fearful"),
        (("angry", "wütend"), "'wütend=angry'"),
        (("sad", "sadd"), "sadd=sad"),
        (("surprised", "suprised"), "suprised=surprised"),
        (("bored", "bored!"), "'bored!=bored'"),
        (("proud", "proad"), "proud=proad"),
        (("self-assured", "self assured"), "'self-assured=self assured'"),
        (("angry", "agnry"), "agnry=angry"),
    ],
)
def test_labels_of_one_meaning_are_a_warning_with_what_joins_them(labels, renamed):
    (finding,) = audit_names(rows(labels=(*labels, "other")))
    assert (finding.check, finding.severity) == ("names", "warn")
    assert f"--map {renamed} joins them" in finding.message
    assert len(finding.keys) == 4


@pytest.mark.parametrize(
    "labels",
    [
        EMOTIONS,
        ("class1", "class2", "class10"),
        ("bad", "sad"),
        ("happy", "unhappy"),
        ("positive", "negative", "neutral"),
        ("calm", "neutral"),
        ("happy", "excited"),
    ],
)
def test_labels_of_several_meanings_are_no_warning(labels):
    assert audit_names(rows(labels=labels)) == []


def test_a_word_that_other_corpora_have_another_for_is_mentioned():
    (finding,) = audit_names(rows(labels=("anger", "sad", "proud")))
    assert finding.severity == "info"
    assert "--map anger=angry" in finding.message


def test_labels_that_a_class_set_merges_or_leaves_out_are_no_finding():
    labels = rows(labels=("happy", "joy", "fear"))
    assert audit_names(labels, {"happy": "happy", "joy": "happy"}.get) == []


@pytest.mark.parametrize("corpus", CORPORA)
def test_published_corpora_have_no_names_that_look_alike(corpus):
    info = get_corpus(corpus).info
    labels = info.labels or CLASS_SETS["ravdess8"].classes
    assert audit_names(rows(tuple(info.speakers), tuple(labels))) == []
