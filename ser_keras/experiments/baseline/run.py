"""`ser baseline`: trains support vector machines on all folds of a protocol, on both tracks."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ser_keras import audit, metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.experiments import provenance
from ser_keras.experiments.baseline.svm import KERNELS, Chosen, choose_and_predict
from ser_keras.experiments.baseline.vectors import read_vectors, z_scored_by_speaker
from ser_keras.experiments.provenance import (
    class_set_dict,
    feature_facts,
    finding_dict,
    protocol_facts,
)
from ser_keras.protocols import Fold, Protocol, choose_folds

# Blind: nothing is known of a test speaker. Adapted: vectors are z-scored by the speaker's own.
TRACKS = ("blind", "adapted")
# From track, folds done and folds in all.
Progress = Callable[[str, int, int], None]


def run_baselines(
    feature_set: FeatureSet,
    protocol: Protocol,
    *,
    kernels: Sequence[str] = KERNELS,
    tracks: Sequence[str] = TRACKS,
    folds: Sequence[str] = (),
    seed: int = 0,
    command: str = "",
    progress: Progress = lambda track, done, total: None,
) -> list[dict[str, Any]]:
    """Trains a machine of each kernel on each fold's training and validation part, and tests it.

    On the track `adapted`, the vectors of a speaker are z-scored by the mean and deviation of the
    speaker's recordings in the same part of the fold, without labels. C is chosen on speakers of
    the training part, see `choose_and_predict`.

    Args:
        feature_set: any features, see `read_vectors`.
        protocol: the folds.
        kernels: names in `KERNELS`.
        tracks: names in `TRACKS`.
        folds: names of the folds to run; all when empty.
        seed: of inner folds where speakers are shared.
        command: the command line, for the record.
        progress: called after each fold.

    Returns:
        dicts ready for JSON, one for each track and kernel: scores pooled over all test utterances,
        confusions by fold and speaker, the C of each fold, and the facts about features and
        protocol. "choice" says which kernel has the better inner UA, mean over folds.

    Raises:
        ConfigError: an unknown kernel, track or fold.
        LeakageError: the audit found a leak.
    """
    for kind, names, known in (("kernel", kernels, KERNELS), ("track", tracks, TRACKS)):
        for name in names:
            if name not in known:
                raise ConfigError(unknown_name(kind, name, known))
    wanted = choose_folds(protocol, folds)
    findings = audit.audit_protocol(protocol, feature_set.rows)
    audit.enforce(findings)
    utterances = _Utterances(feature_set, protocol, wanted)
    facts = {
        "dataset": feature_set.schema.name,
        "corpus": feature_set.schema.corpus,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol) | {"folds_run": len(wanted)},
        "features": feature_facts(feature_set),
        "seed": seed,
        "audit": [finding_dict(finding) for finding in findings],
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
        "command": command,
    }
    results = []
    for track in tracks:
        started_s = time.process_time()
        chosen = []
        for number, fold in enumerate(wanted, start=1):
            chosen.append(utterances.run(fold, kernels, track, seed))
            progress(track, number, len(wanted))
        cost = {"cpu_s": round(time.process_time() - started_s, 1), "kernels": list(kernels)}
        choice = _choice(chosen)
        for kernel in kernels:
            scores = utterances.scores(wanted, [of_fold[kernel] for of_fold in chosen])
            about = {"model": "svm", "kernel": kernel, "track": track, "choice": choice}
            results.append({**about, **facts, "cost": cost, **scores})
    return results


class _Utterances:
    """The utterances of some folds, with their vectors, classes and speakers.

    Args:
        feature_set: the features.
        protocol: the folds' protocol.
        folds: those that are run.
    """

    def __init__(self, feature_set: FeatureSet, protocol: Protocol, folds: Sequence[Fold]):
        rows = {row.key: row for row in feature_set.rows}
        keys = sorted({key for fold in folds for key in (*fold.train, *fold.valid, *fold.test)})
        self.classes = protocol.class_set.classes
        self.shares_speakers = protocol.shares_speakers
        self.position = {key: index for index, key in enumerate(keys)}
        self.vectors = read_vectors(feature_set, keys)
        self.class_of = np.array([protocol.class_set.index(rows[key].label) for key in keys])
        self.speakers = np.array([rows[key].speaker for key in keys], dtype=str)

    def run(self, fold: Fold, kernels: Sequence[str], track: str, seed: int) -> dict[str, Chosen]:
        """Returns what the machine of each kernel says of a fold's test part."""
        train, test = self._positions((*fold.train, *fold.valid)), self._positions(fold.test)
        vectors, test_vectors = self.vectors[train], self.vectors[test]
        if track == "adapted":
            vectors = z_scored_by_speaker(vectors, self.speakers[train])
            test_vectors = z_scored_by_speaker(test_vectors, self.speakers[test])
        return choose_and_predict(
            kernels,
            vectors,
            self.class_of[train],
            None if self.shares_speakers else self.speakers[train],
            test_vectors,
            num_classes=len(self.classes),
            seed=seed,
        )

    def scores(self, folds: Sequence[Fold], answers: Sequence[Chosen]) -> dict[str, Any]:
        """Returns the scores of a machine on its test utterances, pooled and by fold."""
        tested = [self._positions(fold.test) for fold in folds]
        pooled = np.concatenate(tested)
        predicted = np.concatenate([answer.predicted for answer in answers])
        truth, speakers = self.class_of[pooled], list(self.speakers[pooled])
        probabilities = np.eye(len(self.classes))[predicted]
        return {
            "pooled": metrics.summarize(truth, probabilities, speakers, self.classes),
            "by_speaker": self._by_speaker(pooled, predicted),
            "folds": [
                {
                    "fold": fold.name,
                    "c": answer.c,
                    "inner_ua": [{"c": c, "ua": ua} for c, ua in answer.inner_ua.items()],
                    "confusion": metrics.confusion_matrix(
                        self.class_of[test], answer.predicted, len(self.classes)
                    ).tolist(),
                    "by_speaker": self._by_speaker(test, answer.predicted),
                }
                for fold, test, answer in zip(folds, tested, answers, strict=True)
            ],
        }

    def _positions(self, keys: Sequence[str]) -> np.ndarray:
        return np.array([self.position[key] for key in sorted(keys)])

    def _by_speaker(self, test: np.ndarray, predicted: np.ndarray) -> dict[str, list[list[int]]]:
        truth, speakers = self.class_of[test], list(self.speakers[test])
        return metrics.confusion_by_speaker(truth, predicted, speakers, len(self.classes))


def _choice(chosen: Sequence[Mapping[str, Chosen]]) -> dict[str, Any]:
    """Returns the UA of the inner folds by kernel, mean over folds, and the kernel with the best.

    Only speakers of training parts are in it.
    """
    inner_ua = {
        kernel: float(np.mean([max(fold[kernel].inner_ua.values()) for fold in chosen]))
        for kernel in chosen[0]
    }
    return {"inner_ua": inner_ua, "kernel": max(inner_ua, key=inner_ua.__getitem__)}
