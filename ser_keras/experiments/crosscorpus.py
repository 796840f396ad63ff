"""Cross-corpus evaluation: one model per corpus, tested on every other corpus.

The tested corpora influence nothing in training: the normaliser, the epoch and the weights come
from the training corpus alone. Its model trains on all its speakers and has no score on itself;
`ser crossval` measures that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ser_keras import audit, metrics
from ser_keras.config import TrainConfig
from ser_keras.corpora import CORPORA
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
    """Trains on one corpus like any fold, and is tested on the other corpora.

    Args:
        tested: mapping of dataset to its features.
        arguments: of `FoldTrainer`; the fold's test part is empty.
    """

    def __init__(self, tested: Mapping[str, FeatureSet], *arguments: Any):
        super().__init__(*arguments)
        self.tested = tested

    def identity(self) -> dict[str, str]:
        """Returns hashes of all that decides what is trained and tested."""
        fingerprints = {
            f"features of {name}": feature_set.manifest["fingerprint"]
            for name, feature_set in self.tested.items()
        }
        return super().identity() | fingerprints

    def score_test_part(self, model: keras.Model) -> Scores:
        """Returns the scores of all tested corpora, one after the other, by `key_in`'s keys."""
        scores_of = {
            name: predict(model, self._part_of(feature_set), self.config.batch)
            for name, feature_set in self.tested.items()
        }
        keys = [key_in(name, key) for name, scores in scores_of.items() for key in scores.keys]
        return Scores(
            np.array(keys),
            np.concatenate([scores.classes for scores in scores_of.values()]),
            np.concatenate([scores.probabilities for scores in scores_of.values()]),
        )

    def _part_of(self, feature_set: FeatureSet) -> Part:
        batch = self.config.batch
        class_of = {
            row.key: self.class_set.index(row.label)
            for row in usable(feature_set, self.class_set)
            if row.duration_s >= batch.drop_shorter_s
        }
        return Part(feature_set, class_of, batch.cache_gb)


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
    """Trains on each corpus, tests on all others, writes `result.json` and returns the result.

    If the recipe chooses its epoch on validation speakers, they are drawn from the training corpus.
    The same call resumes a killed run.

    Args:
        name: of the recipe.
        config: the recipe.
        feature_sets: two or more, of one spec.
        output: Path. A folder per training corpus inside.
        class_set: the classes; by default those that all corpora have.
        seed: draws the validation speakers.
        searched: folds on which a search chose the recipe's settings, see `searched_folds`.
        command: the command line, for the record.
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
    sets = _sets_by_name(config, feature_sets)
    provenance.git_commit()
    protocol = build_crosscorpus(sets, class_set or shared_classes(sets), config, seed)
    findings = _audit(sets, protocol, searched)
    audit.enforce(findings)
    prepare_output({name: config}, protocol, output)
    records = []
    for fold in protocol.folds:
        trainer = CorpusTrainer(
            {name: tested for name, tested in sets.items() if name != fold.name},
            config,
            sets[fold.name],
            protocol.class_set,
            _training_fold(fold),
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
        "features": {dataset: feature_facts(tested) for dataset, tested in sets.items()},
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


def _sets_by_name(config: TrainConfig, feature_sets: Sequence[FeatureSet]) -> dict[str, FeatureSet]:
    """Returns the feature sets by dataset, all of the recipe's spec and of the same features."""
    sets = {feature_set.schema.name: feature_set for feature_set in feature_sets}
    if len(sets) < 2 or len(sets) < len(feature_sets):
        names = ", ".join(feature_set.schema.name for feature_set in feature_sets)
        raise ConfigError(
            f"crosscorpus: found features of {names}, expected two or more datasets with different "
            "names. Give --features for each."
        )
    for feature_set in feature_sets:
        check_spec(config, feature_set)
        check_same_spec(feature_sets[0], feature_set)
    return sets


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


def _training_fold(fold: Fold) -> Fold:
    """Returns the fold with the training corpus's own keys, and without its test part."""
    prefix = key_in(fold.name, "")
    train, valid = (
        tuple(key.removeprefix(prefix) for key in keys) for keys in (fold.train, fold.valid)
    )
    return Fold(fold.name, train, valid, test=())


def _audit(
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
        home = corpus if CORPORA[corpus].info.speakers else dataset
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
        of_dataset = np.array([key in speaker_of for key in scores["keys"]])
        summary = metrics.summarize(
            scores["classes"][of_dataset],
            scores["probabilities"][of_dataset],
            [speaker_of[key] for key in scores["keys"][of_dataset]],
            protocol.class_set.classes,
        )
        cells.append({"train": record["fold"], "test": dataset, **summary})
    return cells
