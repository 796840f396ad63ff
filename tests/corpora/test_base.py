import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from ser_keras.corpora import Utterance, corpus_names, get_corpus
from ser_keras.corpora.base import audio_files, check_complete, look_up, unique_keys
from ser_keras.errors import ConfigError, CorpusError
from ser_keras.labels import CLASS_SETS, emotion_of_word
from tests import trees

CORPORA = corpus_names()
EMODB = get_corpus("emodb")


def test_unknown_corpus_suggests_the_nearest():
    with pytest.raises(ConfigError, match="unknown corpus 'emobd'; did you mean 'emodb'"):
        get_corpus("emobd")


@pytest.mark.parametrize("name", CORPORA)
def test_facts_of_every_corpus_agree_with_each_other(name):
    info = get_corpus(name).info
    assert info.name == name
    assert [label for label in info.labels if emotion_of_word(label)] == []
    if info.utterances is not None:
        counts = list(info.labels.values())
        assert None in counts or sum(counts) == info.utterances
        known = [count for count in info.speakers.values() if count is not None]
        assert len(known) < len(info.speakers) or not known or sum(known) == info.utterances
        assert not info.sessions or sum(info.sessions.values()) == info.utterances
    for class_set in info.class_sets:
        classes = {CLASS_SETS[class_set].class_of(label) for label in info.labels} - {None}
        assert not info.labels or classes == set(CLASS_SETS[class_set].classes)
    assert info.licence
    assert info.access.endswith(".")


@pytest.mark.parametrize("name", CORPORA)
def test_missing_folder_says_how_to_get_the_corpus(name, tmp_path):
    corpus = get_corpus(name)
    with pytest.raises(CorpusError) as error:
        corpus.read(tmp_path / "nowhere")
    assert corpus.info.access in str(error.value)
    assert str(tmp_path / "nowhere") in str(error.value)


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "manifest"])
def test_empty_folder_is_refused_even_as_a_part(name, tmp_path):
    with pytest.raises(CorpusError, match="found no utterances"):
        get_corpus(name).read(tmp_path, allow_partial=True)


def test_further_copies_get_numbered_keys():
    utterance = Utterance("emodb/03a01Fa", Path("a.wav"), "happy", "03", "emodb")
    keys = [
        u.key
        for u in unique_keys([utterance, utterance, replace(utterance, key="emodb/x"), utterance])
    ]
    assert keys == ["emodb/03a01Fa", "emodb/03a01Fa#2", "emodb/x", "emodb/03a01Fa#3"]


def test_wrong_label_of_the_right_number_is_refused():
    utterances = [
        Utterance(f"emodb/{name}", Path(name), parsed["label"], parsed["speaker"], "emodb")
        for name in trees.emodb_names()
        for parsed in [EMODB.parse_stem(name.removesuffix(".wav"))]
    ]
    check_complete(utterances, EMODB.info, Path("corpus"), allow_partial=False)
    utterances[0] = replace(utterances[0], label="calm")
    with pytest.raises(CorpusError, match="label calm has 1, expected 0; label happy has 70"):
        check_complete(utterances, EMODB.info, Path("corpus"), allow_partial=False)


def test_audio_files_are_sorted_and_without_companions(tmp_path):
    for name in ("b.wav", "a.FLAC", "._a.wav", "notes.txt", "deep/c.Wav"):
        trees.write_noise(tmp_path / name)
    names = [path.relative_to(tmp_path).as_posix() for path in audio_files(tmp_path)]
    assert names == ["a.FLAC", "b.wav", "deep/c.Wav"]


def test_unknown_code_names_the_known_ones():
    with pytest.raises(CorpusError, match=r"'03a01Xa' has emotion 'X', expected one of F, W\."):
        look_up({"W": "", "F": ""}, "X", kind="emotion", stem="03a01Xa", info=EMODB.info)


def test_utterance_cannot_change():
    utterance = Utterance("emodb/03a01Fa", Path("a.wav"), "happy", "03", "emodb")
    with pytest.raises(FrozenInstanceError):
        utterance.label = "sad"


def test_reading_one_corpus_imports_no_other():
    program = (
        "import sys; from ser_keras.corpora import READERS, get_corpus; get_corpus('casia');"
        "print([name for name in READERS if READERS[name] in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "['casia']"
