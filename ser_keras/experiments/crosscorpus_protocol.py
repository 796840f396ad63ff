"""The protocol of a cross-corpus evaluation: its classes, folds, and audit.

Several corpora may use the same keys and names of speakers. In the protocol and for the audit each
of them has the name of its dataset in front.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ser_keras import audit
from ser_keras.config import TrainConfig
from ser_keras.corpora import get_corpus
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.errors import ConfigError
from ser_keras.labels import ClassSet, class_set_from
from ser_keras.protocols import Fold, Protocol
from ser_keras.protocols.choice import validation_speakers

NAME = "crosscorpus"


def shared_classes(sets: Mapping[str, FeatureSet]) -> ClassSet:
    """Returns the labels that every corpus has.

    Raises:
        ConfigError: fewer than two.
    """
    labels = [{row.label for row in feature_set.rows} for feature_set in sets.values()]
    shared = set.intersection(*labels)
    if len(shared) < 2:
        raise ConfigError(
            f"crosscorpus: {', '.join(sets)} share the labels {sorted(shared)}, expected two or "
            "more. Give --classes with a class set that merges labels."
        )
    return class_set_from("shared", shared)


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
                f"class of {classes.name}. Leave out --classes to take what the corpora share."
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
        home = corpus if get_corpus(corpus).info.speakers else dataset
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
