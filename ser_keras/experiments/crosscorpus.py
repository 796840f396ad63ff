"""How far a corpus carries: a model of each corpus, tested on every other.

Nothing of the tested corpora has a say in training: the normaliser, the epoch and the weights come
from the training corpus alone. All its speakers train, so that there is no score on itself; that is
what `ser crossval` is for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import audit, metrics
from ser_keras.config import TrainConfig
from ser_keras.corpora import get_corpus
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.data.input import Part
from ser_keras.errors import ConfigError
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import (
    check_spec,
    class_set_dict,
    feature_facts,
    finding_dict,
    pooled_scores,
    prepare_output,
)
from ser_keras.experiments.fold_runs import FoldProgress, named_progress
from ser_keras.files import write_json
from ser_keras.labels import ClassSet, class_set_from
from ser_keras.protocols import Fold, Protocol
from ser_keras.protocols.choice import validation_speakers
from ser_keras.training.predict import Scores, predict
from ser_keras.training.trainer import FoldTrainer
from ser_keras.training.unlabelled import check_same_spec

NAME = "crosscorpus"


class CorpusTrainer(FoldTrainer):
    """Trains on one corpus as any fold; what it is tested on are the other corpora.

    Args:
        others: mapping of dataset to its features.
        arguments: of `FoldTrainer`; the fold's test part is empty.
    """

    def __init__(self, others: Mapping[str, FeatureSet], *arguments: Any):
        super().__init__(*arguments)
        self.others = others

    def identity(self) -> dict[str, str]:
        """Returns hashes of all that decides what is trained and tested."""
        tested = {
            f"features of {name}": other.manifest["fingerprint"]
            for name, other in self.others.items()
        }
        return super().identity() | tested

    def predict(self, keys: Sequence[str]) -> Scores:
        """Returns the scores of every other corpus, one after the other, by `key_in`'s keys."""
        del keys
        found = {
            name: predict(self.model, self._part_of(other), self.config.batch)
            for name, other in self.others.items()
        }
        return Scores(
            np.array([key_in(name, key) for name, each in found.items() for key in each.keys]),
            np.concatenate([each.classes for each in found.values()]),
            np.concatenate([each.probabilities for each in found.values()]),
        )

    def _part_of(self, other: FeatureSet) -> Part:
        batch = self.config.batch
        rows = [
            row for row in usable(other, self.class_set) if row.duration_s >= batch.drop_shorter_s
        ]
        return Part(
            other, {row.key: self.class_set.index(row.label) for row in rows}, batch.cache_gb
        )


def run_crosscorpus(
    name: str,
    config: TrainConfig,
    feature_sets: Sequence[FeatureSet],
    output: Path,
    *,
    class_set: ClassSet | None = None,
    seed: int = 0,
    searched: Sequence[Fold] = (),
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Trains on each corpus, tests on all others, and returns the result, also in `result.json`.

    Where the recipe chooses its epoch on validation speakers, they are drawn from the training
    corpus. Run again, it goes on after a kill.

    Args:
        name: of the recipe.
        config: the recipe.
        feature_sets: two or more, of one spec.
        output: Path. A folder per training corpus inside.
        class_set: the classes; those that all corpora have, where it is None.
        seed: draws the validation speakers.
        searched: folds on which a search chose the recipe's settings, see `searched_folds`.
        command: what the user typed, for the record.
        progress: called as (training corpus, epoch, epochs, logs).

    Returns:
        dict ready for JSON: "datasets", and "cells", each with "train", "test" and the scores of
        `metrics.summarize` on all utterances of that corpus.

    Raises:
        ConfigError: fewer than two corpora, two of one name, another spec, or no shared classes.
        LeakageError: a recording or a person is in two of the corpora, or a search chose the
            settings on people who are tested.
        SchemaError: corpora of different features, or `output` holds a run on other corpora.
    """
    sets = {feature_set.schema.name: feature_set for feature_set in feature_sets}
    if len(sets) < 2 or len(sets) < len(feature_sets):
        found = ", ".join(feature_set.schema.name for feature_set in feature_sets)
        raise ConfigError(
            f"crosscorpus: found features of {found}, expected two or more datasets with different "
            "names. Give --features for each."
        )
    for feature_set in feature_sets:
        check_spec(config, feature_set)
        check_same_spec(feature_sets[0], feature_set)
    provenance.git_commit()
    protocol = build_crosscorpus(sets, class_set or shared_classes(sets), config, seed)
    findings = _audit(sets, protocol, searched)
    audit.enforce(findings)
    prepare_output({name: config}, protocol, output)
    records = []
    for fold in protocol.folds:
        others = {other: each for other, each in sets.items() if other != fold.name}
        trainer = CorpusTrainer(
            others,
            config,
            sets[fold.name],
            protocol.class_set,
            _own(fold),
            output / "folds" / fold.name,
            named_progress(progress, fold.name),
        )
        records.append(trainer.run())
    result = {
        "model": config.model.name,
        "settings": config.settings,
        "datasets": list(sets),
        "class_set": class_set_dict(protocol.class_set),
        "epoch_chosen_by": config.select,
        "cells": [cell for record in records for cell in _cells(output, record, sets, protocol)],
        "parameters": records[0]["parameters"],
        "train_seconds": round(sum(record["train_seconds"] for record in records), 1),
        "features": {dataset: feature_facts(each) for dataset, each in sets.items()},
        "audit": [finding_dict(finding) for finding in findings],
        "recipes": {name: config.to_dict()},
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
        "folds": [
            {key: record[key] for key in ("fold", "sizes", "epoch", "history", "weights_sha256")}
            for record in records
        ],
    }
    write_json(output / "result.json", result)
    return result


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
    """Returns a fold per corpus: it trains, all others are the test part, by `key_in`'s keys.

    Raises:
        ConfigError: a corpus lacks one of the classes, or has too few speakers to validate.
    """
    folds = []
    for dataset, feature_set in sets.items():
        rows = usable(feature_set, classes)
        if empty := set(classes.classes) - {classes.class_of(row.label) for row in rows}:
            raise ConfigError(
                f"crosscorpus: {dataset} has no {', '.join(sorted(empty))}, expected some of each "
                f"class of {classes.name}. Leave out --classes to take what the corpora share."
            )
        chosen = validation_speakers(rows, dataset, seed) if config.select == "validation" else ()
        folds.append(
            Fold(
                dataset,
                tuple(key_in(dataset, row.key) for row in rows if row.speaker not in chosen),
                tuple(key_in(dataset, row.key) for row in rows if row.speaker in chosen),
                tuple(
                    key_in(other, row.key)
                    for other, each in sets.items()
                    if other != dataset
                    for row in usable(each, classes)
                ),
            )
        )
    return Protocol(NAME, "+".join(sets), classes, seed, False, False, tuple(folds))


def usable(feature_set: FeatureSet, classes: ClassSet) -> list[IndexRow]:
    """Returns the rows whose label is in a class."""
    return [row for row in feature_set.rows if classes.class_of(row.label)]


def key_in(dataset: str, key: str) -> str:
    """Returns a name for an utterance that is unique among several datasets."""
    return f"{dataset}:{key}"


def _own(fold: Fold) -> Fold:
    """Returns the fold as its training corpus knows it: with its own keys, without a test part."""
    start = key_in(fold.name, "")
    train, valid = (
        tuple(key.removeprefix(start) for key in keys) for keys in (fold.train, fold.valid)
    )
    return Fold(fold.name, train, valid, test=())


def _audit(
    sets: Mapping[str, FeatureSet], protocol: Protocol, searched: Sequence[Fold]
) -> list[audit.Finding]:
    """Returns what training and test share, with every name told apart by where it comes from."""

    def everywhere(keys: Sequence[str]) -> tuple[str, ...]:
        # A search does not say which of the corpora it was on; keys that none has are passed over.
        return tuple(key_in(dataset, key) for dataset in sets for key in keys)

    judges = [
        replace(fold, train=everywhere(fold.train), valid=everywhere(fold.valid))
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
    # With three corpora each is tested twice, by other models; their scores are never pooled.
    findings = [one for one in audit.audit_protocol(protocol, rows) if one.check != "coverage"]
    return [*findings, *audit.audit_settings(protocol.folds, judges, rows)]


def _cells(
    output: Path,
    record: Mapping[str, Any],
    sets: Mapping[str, FeatureSet],
    protocol: Protocol,
) -> list[dict[str, Any]]:
    """Returns the scores of one corpus's model on each other corpus."""
    scores = pooled_scores(output / "folds", [record])
    cells = []
    for dataset, feature_set in sets.items():
        if dataset == record["fold"]:
            continue
        speaker_of = {key_in(dataset, row.key): row.speaker for row in feature_set.rows}
        own = np.array([key in speaker_of for key in scores["keys"]])
        summary = metrics.summarize(
            scores["classes"][own],
            scores["probabilities"][own],
            [speaker_of[key] for key in scores["keys"][own]],
            protocol.class_set.classes,
        )
        cells.append({"train": record["fold"], "test": dataset, **summary})
    return cells
