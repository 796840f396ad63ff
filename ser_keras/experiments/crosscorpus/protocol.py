"""The protocol of a cross-corpus evaluation: its classes, folds, and audit.

Several corpora may use the same keys and names of speakers. In the protocol and for the audit each
of them has the name of its dataset in front.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from shlex import quote
from types import MappingProxyType

from ser_keras import audit
from ser_keras.config import TrainConfig
from ser_keras.corpora import get_corpus
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.labels import ClassSet, class_set_from, emotion_of_word
from ser_keras.protocols import Fold, Protocol
from ser_keras.protocols.choice import validation_speakers

NAME = "crosscorpus"


def shared_classes(
    sets: Mapping[str, FeatureSet], merge: Mapping[str, str] = MappingProxyType({})
) -> ClassSet:
    """Returns the labels that every corpus has.

    Args:
        sets: the corpora by name.
        merge: mapping of label to the label that it counts as.

    Raises:
        ConfigError: fewer than two, or a label of `merge` that no corpus has.
    """
    labels_of = _labels_of(sets)
    known = set().union(*labels_of.values())
    for label in merge:
        if label not in known:
            raise ConfigError(f"--map: {unknown_name('label', label, known)}")
    shared = _shared(labels_of, merge)
    if len(shared) < 2:
        count = f"the label {min(shared)} alone" if shared else "no label"
        raise ConfigError(
            f"crosscorpus: {', '.join(sets)} share {count}, expected two or more. "
            f"{_way_through(sets, merge)}"
        )
    return replace(class_set_from("shared", shared), merge=MappingProxyType(dict(merge)))


def merged(classes: ClassSet, merge: Mapping[str, str]) -> ClassSet:
    """Returns a class set that takes further labels as those that it knows."""
    named = {label: classes.merge.get(name, name) for label, name in merge.items()}
    return replace(classes, merge=MappingProxyType({**classes.merge, **named}))


def _labels_of(sets: Mapping[str, FeatureSet]) -> dict[str, set[str]]:
    return {name: {row.label for row in feature_set.rows} for name, feature_set in sets.items()}


def _shared(labels_of: Mapping[str, set[str]], merge: Mapping[str, str]) -> set[str]:
    named = [{merge.get(label, label) for label in labels} for labels in labels_of.values()]
    return set.intersection(*named)


def _way_through(sets: Mapping[str, FeatureSet], merge: Mapping[str, str]) -> str:
    """Returns what a user can do whose corpora share too few labels: what leads on, not a guess."""
    labels_of = _labels_of(sets)
    lists = "; ".join(
        f"{name} has {', '.join(sorted(labels))}" for name, labels in labels_of.items()
    )
    words = {
        label: emotion
        for label in sorted(set().union(*labels_of.values()) - set(merge))
        if (emotion := emotion_of_word(label))
    }
    if len(_shared(labels_of, {**words, **merge})) > 1:
        pairs = ",".join(f"{label}={emotion}" for label, emotion in {**merge, **words}.items())
        return f"{lists}. Add --map {quote(pairs)}"
    return (
        f"{lists}. Say which labels mean the same, such as --map {_pair_of(labels_of)}, or leave a "
        "corpus out."
    )


def _pair_of(labels_of: Mapping[str, set[str]]) -> str:
    """Returns an example of a pair: a label that the first corpus lacks, and one that it has."""
    first, *others = labels_of.values()
    return f"{min(set().union(*others) - first, default='OTHER')}={min(first, default='LABEL')}"


def build_crosscorpus(
    sets: Mapping[str, FeatureSet], classes: ClassSet, config: TrainConfig, seed: int
) -> Protocol:
    """Returns a protocol with one fold per training corpus; all others are its test part.

    Keys are those of `key_in`.

    Raises:
        ConfigError: a corpus lacks one of the classes, or has too few speakers for validation.
    """
    folds = []
    for dataset, feature_set in sets.items():
        rows = usable(feature_set, classes)
        if empty := set(classes.classes) - {classes.class_of(row.label) for row in rows}:
            raise ConfigError(
                f"crosscorpus: {dataset} has no {', '.join(sorted(empty))}, expected some of each "
                f"class of {classes.name}. {_without_class_set(sets, classes)}"
            )
        validate = config.select == "validation"
        speakers = validation_speakers(rows, dataset, seed) if validate else ()
        folds.append(
            Fold(
                dataset,
                tuple(key_in(dataset, row.key) for row in rows if row.speaker not in speakers),
                tuple(key_in(dataset, row.key) for row in rows if row.speaker in speakers),
                tuple(
                    key_in(name, row.key)
                    for name, tested in sets.items()
                    if name != dataset
                    for row in usable(tested, classes)
                ),
            )
        )
    return Protocol(NAME, "+".join(sets), classes, seed, False, False, tuple(folds))


def _without_class_set(sets: Mapping[str, FeatureSet], classes: ClassSet) -> str:
    """Returns what a user can do where a corpus lacks a class of the set that was given."""
    shared = class_set_from("shared", _shared(_labels_of(sets), classes.merge)).classes
    if len(shared) > 1:
        return f"Leave out --classes to take what the corpora share: {', '.join(shared)}."
    return _way_through(sets, classes.merge)


def usable(feature_set: FeatureSet, classes: ClassSet) -> list[IndexRow]:
    """Returns the rows whose label belongs to a class."""
    return [row for row in feature_set.rows if classes.class_of(row.label)]


def key_in(dataset: str, key: str) -> str:
    """Returns a name for an utterance that is unique among several datasets."""
    return f"{dataset}:{key}"


def training_fold(fold: Fold) -> Fold:
    """Returns the fold with the training corpus's own keys, and without its test part."""
    prefix = key_in(fold.name, "")
    train, valid = (
        tuple(key.removeprefix(prefix) for key in keys) for keys in (fold.train, fold.valid)
    )
    return Fold(fold.name, train, valid, test=())


def audit_crosscorpus(
    sets: Mapping[str, FeatureSet], protocol: Protocol, searched: Sequence[Fold]
) -> list[audit.Finding]:
    """Returns what training and test share, with the dataset in front of every name."""

    def in_any_set(keys: Sequence[str]) -> tuple[str, ...]:
        # A search does not record its corpus; the audit ignores keys that no corpus has.
        return tuple(key_in(dataset, key) for dataset in sets for key in keys)

    searched = [
        replace(fold, train=in_any_set(fold.train), valid=in_any_set(fold.valid))
        for fold in searched
    ]
    rows = []
    for dataset, feature_set in sets.items():
        corpus = feature_set.schema.corpus
        # Two copies of a published corpus have the same people; two tables of a user may not.
        info = get_corpus(corpus).info
        home = corpus if info.labels or info.num_speakers else dataset
        rows += [
            replace(
                row,
                key=key_in(dataset, row.key),
                speaker=key_in(home, row.speaker),
                sentence=row.sentence and key_in(home, row.sentence),
            )
            for row in feature_set.rows
        ]
    # With three corpora, two models test each of them. Their scores are never pooled.
    findings = [
        finding for finding in audit.audit_protocol(protocol, rows) if finding.check != "coverage"
    ]
    return [*findings, *audit.audit_settings(protocol.folds, searched, rows)]
