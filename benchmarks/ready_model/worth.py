"""Writes what the ready model is worth, from runs of the same recipe that held people out.

    python benchmarks/ready_model/worth.py NEW_CORPORA NEW_SPEAKERS FEATURES OUTPUT

NEW_CORPORA is the run of `ser crossval` over `by-corpus.csv`, in which each corpus was tested by a
model that was trained on the others; NEW_SPEAKERS the run over `by-speaker.csv`, whose features are
FEATURES. UA is that of the recordings as they are; degraded copies are scored beside them.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from corpus import CLASSES, CLEAN, CORPORA

from ser_keras import metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.degradation import DEGRADATIONS
from ser_keras.experiments.evaluate import trained_folds
from ser_keras.files import write_json
from ser_keras.training.trainer import scores_name

TRACKS = ("blind", "adapted")
TITLES = {
    "emodb": "EmoDB (German)",
    "ravdess": "RAVDESS (English)",
    "nemo": "nEMO (Polish)",
}
Scored = Mapping[str, np.ndarray]


def scored(run: Path, track: str) -> Scored:
    """Returns keys, classes, probabilities, and what the keys say, of all test parts of a run."""
    parts = []
    for fold in trained_folds(run):
        with np.load(run / "folds" / fold / scores_name(track, "adapted")) as stored:
            parts.append({name: stored[name] for name in stored.files})
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # manifest/<condition>/<corpus>/<stem>
    fields = np.array([key.split("/")[1:3] for key in scores["keys"]])
    return scores | {"condition": fields[:, 0], "corpus": fields[:, 1]}


def worth(new_corpora: Path, new_speakers: Path, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts for `ser export --worth`."""
    of_corpora = {track: scored(new_corpora, track) for track in TRACKS}
    of_speakers = {track: scored(new_speakers, track) for track in TRACKS}
    people = {(key.split("/")[2], row.speaker.rsplit("-", 1)[0]) for key, row in rows.items()}
    return {
        "data": f"acted speech of {len(people)} people, in German, English and Polish",
        "licence": "that of its data, EmoDB (free for research), RAVDESS and nEMO (CC BY-NC-SA "
        "4.0): not for commercial use, share alike",
        "new_corpora": [_corpus(of_corpora, name, rows) for name in CORPORA],
        "new_speakers": [_corpus(of_speakers, name, rows) for name in CORPORA],
        "conditions": [
            {"condition": condition}
            | {track: _mean_ua(of_corpora[track], condition) for track in TRACKS}
            for condition in (CLEAN, *DEGRADATIONS)
        ],
    }


def _corpus(by_track: Mapping[str, Scored], name: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"corpus": name, "title": TITLES[name]}
    for track, scores in by_track.items():
        chosen = (scores["corpus"] == name) & (scores["condition"] == CLEAN)
        tested = [rows[key] for key in scores["keys"][chosen]]
        classes, probabilities = scores["classes"][chosen], scores["probabilities"][chosen]
        summary = metrics.summarize(
            classes, probabilities, [row.speaker for row in tested], CLASSES
        )
        by_gender = {
            gender: _ua(classes[mask], probabilities[mask])
            for gender in ("female", "male")
            if (mask := np.array([row.gender == gender for row in tested])).any()
        }
        facts |= {
            "recordings": len(tested),
            "speakers": len({row.speaker for row in tested}),
            track: {"ua": summary["ua"], "ua_interval": summary["ua_interval"], **by_gender},
        }
    return facts


def _mean_ua(scores: Scored, condition: str) -> float:
    """Returns the mean over corpora of the UA in a condition."""
    chosen = scores["condition"] == condition
    return float(
        np.mean(
            [
                _ua(scores["classes"][mask], scores["probabilities"][mask])
                for name in CORPORA
                if (mask := chosen & (scores["corpus"] == name)).any()
            ]
        )
    )


def _ua(classes: np.ndarray, probabilities: np.ndarray) -> float:
    return metrics.unweighted_accuracy(classes, probabilities.argmax(axis=1), len(CLASSES))


def main(new_corpora: Path, new_speakers: Path, features: Path, output: Path) -> None:
    """Writes the file."""
    rows = {row.key: row for row in FeatureSet.open(features).rows}
    write_json(output, worth(new_corpora, new_speakers, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("new_corpora", type=Path, help="the run over by-corpus.csv")
    parser.add_argument("new_speakers", type=Path, help="the run over by-speaker.csv")
    parser.add_argument("features", type=Path, help="the features of by-speaker.csv")
    parser.add_argument("output", type=Path, help="the JSON file for ser export --worth")
    main(**vars(parser.parse_args()))
