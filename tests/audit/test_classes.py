"""Classes that a fold tests and does not train."""

from pathlib import Path

import pytest

from ser_keras import audit
from ser_keras.corpora.base import Utterance
from ser_keras.errors import ConfigError, LeakageError
from ser_keras.labels import ClassSet, class_set_from
from ser_keras.protocols import Fold, Protocol, build_protocol


def table(labels_of, corpus="manifest", **more):
    """Utterances by speaker and label, two of each."""
    return [
        Utterance(f"{speaker}/{label}/{n}", Path("x"), label, speaker, corpus, **more)
        for speaker, labels in labels_of.items()
        for label in labels.split()
        for n in range(2)
    ]


def audio_rows(utterances):
    """Rows whose fingerprints are far from each other."""
    return [
        audit.AudioRow(u.key, u.label, u.speaker, "", u.key, bytes([255 * (i % 2), 200]) * 64)
        for i, u in enumerate(utterances)
    ]


def classes_of(folds, labels, class_set=None):
    """Findings about classes for folds of (train, valid, test), each a string of keys."""
    class_set = class_set or class_set_from("x", labels.values())
    protocol = Protocol(
        *("x", "manifest", class_set, 0, True, False),
        tuple(Fold(f"f{i}", *map(tuple, parts)) for i, parts in enumerate(folds)),
    )
    rows = [audit.AudioRow(k, label, f"s{k}", "", k, bytes(128)) for k, label in labels.items()]
    return [f for f in audit.audit_protocol(protocol, rows) if f.check == "classes"]


def test_a_class_of_one_speaker_fails_with_its_name_and_fold():
    utterances = table(
        dict.fromkeys(("ann", "ben", "dan", "eva"), "happy sad") | {"cem": "happy proud"}
    )
    protocol = build_protocol("manifest-loso", utterances)
    findings = audit.audit_protocol(protocol, audio_rows(utterances))
    (finding,) = [f for f in findings if f.check == "classes"]
    assert finding.severity == "fail"
    assert "class proud is tested in fold speaker-cem, but no training part" in finding.message
    assert "Only cem has it." in finding.message
    assert finding.keys == ("cem/proud/0", "cem/proud/1")
    with pytest.raises(LeakageError, match="class proud is tested in fold speaker-cem"):
        audit.enforce(findings)


def test_a_class_whose_other_speaker_validates_is_not_trained_either():
    labels = {"a": "happy", "b": "sad", "c": "sad", "d": "happy"}
    (finding,) = classes_of([("a", "b", "cd")], labels)
    assert finding.severity == "fail"
    assert "Only" not in finding.message
    assert finding.keys == ("c",)


def test_a_class_without_training_in_several_folds_is_one_finding():
    labels = {"a": "happy", "b": "happy", "c": "happy", "d": "sad"}
    findings = classes_of([("a", "b", "cd"), ("b", "a", "cd")], labels)
    assert [f.severity for f in findings] == ["fail"]
    assert "in 2 folds (f0, f1)" in findings[0].message


def test_a_class_that_is_validated_alone_or_never_tested_is_a_warning():
    labels = {"a": "happy", "b": "sad", "c": "happy", "d": "proud"}
    findings = classes_of([("ad", "b", "c")], labels)
    assert [f.severity for f in findings] == ["warn", "warn"]
    assert "class sad is validated in fold f0" in findings[0].message
    assert "no test part has proud" in findings[1].message


def test_labels_that_are_merged_or_left_out_are_judged_as_the_class_set_says():
    labels = {"a": "happy", "b": "happy", "c": "excited", "d": "proud", "e": "sad", "f": "sad"}
    classes = ClassSet("x", ("happy", "sad"), {"excited": "happy"})
    assert classes_of([("ae", "b", "cdf")], labels, classes) == []


@pytest.mark.parametrize("name", ["manifest-loso", "manifest-speaker-dependent-2"])
def test_one_class_alone_is_refused_before_any_training(name):
    utterances = table(dict.fromkeys(("ann", "ben", "cem", "dan"), "sad"))
    with pytest.raises(ConfigError, match=rf"{name}: found sad as the only class, expected two"):
        build_protocol(name, utterances)
    two = [*utterances, *table(dict.fromkeys(("ann", "ben", "cem", "dan"), "happy"))]
    assert build_protocol(name, two).class_set.classes == ("happy", "sad")


def test_one_class_that_a_class_set_leaves_is_refused():
    utterances = table(dict.fromkeys(("ann", "ben", "cem"), "sad happy"))
    with pytest.raises(ConfigError, match="only class"):
        build_protocol("manifest-loso", utterances, class_set=ClassSet("x", ("sad",)))
