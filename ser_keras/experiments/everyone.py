"""Trains a model on all speakers of a corpus, to be exported: there is nobody left to test it on.

What such a model is worth is measured before, with the same recipe on a protocol that holds
speakers out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_keras import audit
from ser_keras.config import TrainConfig
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import check_spec, prepare_output
from ser_keras.experiments.fold_runs import FoldProgress, FoldRuns
from ser_keras.models import check_objective
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.further_speech import FurtherSpeech

EVERYONE = "everyone"


def everyone(protocol: Protocol) -> Protocol:
    """Returns a protocol with one fold, which trains on all utterances and has no test part.

    Args:
        protocol: over the same utterances and classes.
    """
    keys = {key for fold in protocol.folds for key in (*fold.train, *fold.valid, *fold.test)}
    fold = Fold(EVERYONE, train=tuple(sorted(keys)), valid=(), test=())
    return replace(protocol, name=EVERYONE, folds=(fold,))


def train_on_everyone(
    name: str,
    config: TrainConfig,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    unlabelled_sets: Sequence[FeatureSet] = (),
    joint_sets: Sequence[FeatureSet] = (),
    progress: FoldProgress | None = None,
) -> Mapping[str, Any]:
    """Trains on all utterances of a protocol and returns the record of the training.

    `output` holds what `ser export` takes, and no `result.json`: there are no scores. The same call
    resumes a killed training.

    Args:
        name: of the recipe.
        config: the recipe; its epochs are fixed.
        feature_set: features of the corpus.
        protocol: says which utterances and classes.
        output: Path. The run's folder.
        unlabelled_sets: further features, trained on without labels.
        joint_sets: further features, trained on with labels in a share of the batches.
        progress: called as (fold name, epoch, epochs, logs).

    Raises:
        ConfigError: the recipe chooses its epoch on validation speakers, or is made for another
            spec.
        LeakageError: recordings that cannot be trained on.
        SchemaError: `output` holds another run.
    """
    if config.select != "last":
        raise ConfigError(
            f"config: select is {config.select!r}, and with all speakers in training nobody is "
            "left to choose the epoch on, expected 'last'. Pass --set select=last."
        )
    check_spec(config, feature_set)
    check_objective(config.model.name, config.objective)
    provenance.git_commit()
    audit.enforce(audit.audit_audio(feature_set.rows))
    only = everyone(protocol)
    further = FurtherSpeech(feature_set, tuple(unlabelled_sets), tuple(joint_sets))
    runs = FoldRuns(feature_set, only, further, progress)
    runs.check_all({name: config}, only.folds)
    prepare_output({name: config}, only, output)
    return runs.run({name: config}, only.folds[0], output / "folds" / EVERYONE)
