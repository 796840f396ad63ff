"""Cross-corpus evaluation: one model per corpus, tested on every other corpus.

The tested corpora influence nothing in training: the normaliser, the epoch and the weights come
from the training corpus alone. Its model trains on all its speakers and has no score on itself;
`ser crossval` measures that.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from ser_keras import audit, metrics
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet, IndexRow
from ser_keras.data.part import FoldPart
from ser_keras.errors import ConfigError
from ser_keras.experiments import provenance
from ser_keras.experiments.crosscorpus.protocol import (
    audit_crosscorpus,
    build_crosscorpus,
    key_in,
    merged,
    shared_classes,
    training_fold,
    usable,
)
from ser_keras.experiments.crossval import check_spec, pooled_scores, prepare_output
from ser_keras.experiments.fold_runs import (
    FoldProgress,
    Note,
    named_progress,
    note_finished,
    print_nothing,
)
from ser_keras.experiments.provenance import class_set_dict, feature_facts, finding_dict
from ser_keras.experiments.run_result import not_adapted
from ser_keras.files import write_json
from ser_keras.labels import ClassSet
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.further_speech import check_same_spec
from ser_keras.training.predict import Scores, predict
from ser_keras.training.trainer import FoldTrainer


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

    def score_test_part(self, model: keras.Model, track: str | None = None) -> Scores:
        """Returns the scores of all tested corpora, one after the other, by `key_in`'s keys."""
        config = self.config
        track, least_s = track or config.track, config.adaptation.least_s
        scores_of = {
            name: predict(model, self._part_of(feature_set), config.batch, track, least_s)
            for name, feature_set in self.tested.items()
        }
        keys = [key_in(name, key) for name, scores in scores_of.items() for key in scores.keys]
        return Scores(
            np.array(keys),
            np.concatenate([scores.classes for scores in scores_of.values()]),
            np.concatenate([scores.probabilities for scores in scores_of.values()]),
        )

    def tested_rows(self) -> list[IndexRow]:
        """Returns the index rows of all utterances of the tested corpora that are scored."""
        return [row for tested in self.tested.values() for row in self._part_of(tested).rows]

    def _part_of(self, feature_set: FeatureSet) -> FoldPart:
        batch = self.config.batch
        class_of = {
            row.key: self.class_set.index(row.label)
            for row in usable(feature_set, self.class_set)
            if row.duration_s >= batch.drop_shorter_s
        }
        return FoldPart(feature_set, class_of, batch.cache_gb)


def run_crosscorpus(
    name: str,
    config: TrainConfig,
    feature_sets: Sequence[FeatureSet],
    output: Path,
    *,
    class_set: ClassSet | None = None,
    merge: Mapping[str, str] = MappingProxyType({}),
    seed: int = 0,
    searched: Sequence[Fold] = (),
    command: str = "",
    progress: FoldProgress | None = None,
    note: Note = print_nothing,
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
        merge: mapping of label to the label that it counts as.
        seed: draws the validation speakers.
        searched: folds on which a search chose the recipe's settings, see `searched_folds`.
        command: the command line, for the record.
        progress: called as (training corpus, epoch, epochs, logs).
        note: called with a sentence where an earlier run has finished folds.

    Returns:
        dict ready for JSON: "datasets", and "cells", each with "train", "test" and the scores of
        `metrics.summarize` on all utterances of that corpus, on the recipe's own track. Where that
        is the adapted one, "blind_cells" are those of the other.

    Raises:
        ConfigError: fewer than two corpora, two of one name, another spec, or no shared classes.
        LeakageError: a recording or a person is in two of the corpora, or a search chose the
            settings on people who are tested.
        SchemaError: corpora of different features, or `output` holds a run on other corpora.
    """
    sets = _sets_by_name(config, feature_sets)
    provenance.git_commit()
    classes = merged(class_set, merge) if class_set else shared_classes(sets, merge)
    protocol = build_crosscorpus(sets, classes, config, seed)
    findings = audit_crosscorpus(sets, protocol, searched)
    audit.enforce(findings)
    prepare_output({name: config}, protocol, output)
    note_finished(note, output, protocol.folds)
    records = [
        _trainer(fold, config, sets, protocol, output, progress).run() for fold in protocol.folds
    ]
    findings.append(_known(config, records))

    def cells(track: str) -> list[dict[str, Any]]:
        return [c for record in records for c in _cells(output, record, sets, protocol, track)]

    result = {
        "model": config.model.name,
        "settings": config.settings,
        "track": config.track,
        "datasets": list(sets),
        "class_set": class_set_dict(protocol.class_set),
        "epoch_chosen_by": config.select,
        "cells": cells(config.track),
        **({"blind_cells": cells("blind")} if config.track == "adapted" else {}),
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


def _trainer(
    fold: Fold,
    config: TrainConfig,
    sets: Mapping[str, FeatureSet],
    protocol: Protocol,
    output: Path,
    progress: FoldProgress | None,
) -> CorpusTrainer:
    """Returns the trainer of a fold, which is named after its training corpus."""
    return CorpusTrainer(
        {name: tested for name, tested in sets.items() if name != fold.name},
        config,
        sets[fold.name],
        protocol.class_set,
        training_fold(fold),
        output / "folds" / fold.name,
        named_progress(progress, fold.name),
    )


def _known(config: TrainConfig, records: Sequence[Mapping[str, Any]]) -> audit.Finding:
    """Returns what was known of the tested speakers."""
    tested = sorted({name for record in records for name in record["test_speakers"]})
    least_s = config.adaptation.least_s
    return audit.audit_track(config.track, tested, not_adapted(records), least_s)


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


def _cells(
    output: Path,
    record: Mapping[str, Any],
    sets: Mapping[str, FeatureSet],
    protocol: Protocol,
    track: str,
) -> list[dict[str, Any]]:
    """Returns the scores of one corpus's model on each other corpus."""
    scores = pooled_scores(output / "folds", [record], track)
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
