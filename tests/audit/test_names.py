"""One person, or one class, under two names."""

from dataclasses import dataclass

import pytest

from ser_keras.audit import AudioRow, Overlap, audit_names
from ser_keras.audit.lookalikes import lookalikes
from ser_keras.corpora import corpus_names, get_corpus
from ser_keras.labels import CLASS_SETS, EMOTIONS


@dataclass(frozen=True)
class Recording:
    key: str
    speaker: str
    audio_sha256: str
    fingerprint: bytes
    corpus: str = "manifest"


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
        ("Nan", "Na"),
        ("が", "か"),
        ("Ses01F", "Ses01M"),
    ],
)
def test_speakers_with_other_names_are_none(names):
    assert audit_names(rows(names)) == []


@pytest.mark.parametrize("name", ["unknown", "N/A", "nan", "?", "--", "None"])
def test_rows_of_nobody_known_are_a_warning(name):
    (finding,) = audit_names(rows(("anna", name)))
    assert finding.severity == "warn"
    assert f"{name} is no name of a speaker: 2 utterances" in finding.message


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


@pytest.mark.parametrize("corpus", corpus_names())
def test_published_corpora_have_no_names_that_look_alike(corpus):
    info = get_corpus(corpus).info
    labels = info.labels or CLASS_SETS["ravdess8"].classes
    assert audit_names(rows(tuple(info.speakers), tuple(labels))) == []


def test_thousands_of_names_take_no_longer_than_their_number():
    speakers = [f"speaker {number}" for number in range(5000)]
    assert lookalikes([*speakers, "Speaker 0042"]) == [("Speaker 0042", "speaker 42")]


def test_unlabelled_speech_of_a_speaker_in_other_letters_is_withheld():
    labelled = [
        Recording("a/1", "Ann", "h1", bytes(128)),
        Recording("a/2", "Ben", "h2", bytes(128)),
    ]
    other = [
        Recording("b/1", "ann ", "h3", bytes(128)),
        Recording("b/2", "ben", "h4", bytes(128)),
        Recording("b/3", "Anne", "h5", bytes(128)),
    ]
    overlap = Overlap(labelled, [other])
    assert overlap.withheld(0, {"a/1"}) == {"b/1": "speaker"}
    assert overlap.withheld(0, {"a/1", "a/2"}) == {"b/1": "speaker", "b/2": "speaker"}
