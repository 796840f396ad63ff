"""The baseline for every result: a support vector machine on means and deviations.

A network that does not beat it has learnt nothing that needs a network.
"""

from typing import Any

import numpy as np

from ser_keras import audit, metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import FoldPart
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import class_set_dict, protocol_facts
from ser_keras.protocols import Protocol


def run_baseline(feature_set: FeatureSet, protocol: Protocol) -> dict[str, Any]:
    """Trains an RBF SVM (C = 10) on each fold's training and validation parts and tests it.

    Args:
        feature_set: any features; the vector of an utterance is their mean and deviation over time.
        protocol: the folds.

    Returns:
        dict ready for JSON: scores pooled over all test utterances, the confusion matrix of each
        fold (for comparison with a system that was tested on some folds), and the facts about
        features and protocol.

    Raises:
        LeakageError: the audit found a leak.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    audit.enforce(audit.audit_protocol(protocol, feature_set.rows))
    rows = {row.key: row for row in feature_set.rows}
    keys = {key for fold in protocol.folds for key in (*fold.train, *fold.valid, *fold.test)}
    class_of = {key: protocol.class_set.index(rows[key].label) for key in sorted(keys)}
    vectors = _vectors(FoldPart(feature_set, class_of))
    classes = protocol.class_set.classes
    truth: list[int] = []
    predicted: list[int] = []
    speakers: list[str] = []
    folds: list[dict[str, Any]] = []
    for fold in protocol.folds:
        train = fold.train + fold.valid
        svm = make_pipeline(StandardScaler(), SVC(C=10.0))
        svm.fit([vectors[key] for key in train], [class_of[key] for key in train])
        fold_predicted = list(svm.predict([vectors[key] for key in fold.test]))
        fold_truth = [class_of[key] for key in fold.test]
        confusion = metrics.confusion_matrix(fold_truth, fold_predicted, len(classes))
        folds.append({"fold": fold.name, "confusion": confusion.tolist()})
        predicted, truth = predicted + fold_predicted, truth + fold_truth
        speakers += [rows[key].speaker for key in fold.test]
    one_hot = np.eye(len(classes))[predicted]
    return {
        "model": "svm",
        "dataset": feature_set.schema.name,
        "corpus": feature_set.schema.corpus,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol),
        "features": feature_set.schema.spec_name,
        "pooled": metrics.summarize(np.array(truth), one_hot, speakers, classes),
        "folds": folds,
        "versions": provenance.versions(),
        "command": provenance.command(),
    }


def _vectors(part: FoldPart) -> dict[str, np.ndarray]:
    return {
        example["key"].decode(): np.concatenate(
            [example["features"].mean(axis=0), example["features"].std(axis=0)]
        )
        for example in part.utterances.as_numpy_iterator()
    }
