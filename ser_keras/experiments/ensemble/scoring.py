"""The mean of the members' class probabilities, by fold and track."""

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments.ensemble.members import MEMBERS, Member
from ser_keras.files import write_atomic, write_json
from ser_keras.protocols import Fold
from ser_keras.training.predict import Scores
from ser_keras.training.trainer import scores_name

LEAST_ADAPTED = 2


def own_track(members: Sequence[Member]) -> str:
    """Returns the ensemble's own track, see `tracks_of`."""
    return tracks_of(members)[0]


def tracks_of(members: Sequence[Member]) -> tuple[str, ...]:
    """Returns the tracks that the ensemble has scores on, its own first.

    It has the adapted one where two members or more have it, or one was made for it alone: a single
    member of both tracks beside blind ones would be no ensemble on the adapted track. It has the
    blind one where any member has it.
    """
    adapted = [member for member in members if "adapted" in member.tracks]
    alone = [member for member in adapted if "blind" not in member.tracks]
    tracks = ("adapted",) if alone or len(adapted) >= LEAST_ADAPTED else ()
    return (*tracks, "blind") if len(alone) < len(members) else tracks


def members_on(members: Sequence[Member], track: str) -> list[Member]:
    """Returns the members in the mean of a track.

    A member that was made for one track alone is in the mean of that track alone.
    """
    return [member for member in members if track in member.tracks]


def weighted_mean(probabilities: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Returns the weighted mean of class probabilities.

    Args:
        probabilities: (n, num_classes) of each member.
        weights: one of each member, in any scale.

    Returns:
        float32 (n, num_classes).

    Example:
        >>> weighted_mean([np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])], [1, 1]).tolist()
        [[0.75, 0.25]]
    """
    mean = np.average(np.asarray(probabilities, np.float64), axis=0, weights=weights)
    return mean.astype(np.float32)


def mean_scores(
    members: Sequence[Member], fold: str, track: str, fell_back: Collection[str] = ()
) -> Scores:
    """Returns the ensemble's scores of a fold's test part on a track.

    Args:
        members: those of the ensemble, tested on the same utterances.
        fold: str. Its name.
        track: `blind` or `adapted`.
        fell_back: keys of the utterances whose speaker is not adapted to. They get the answer of
            the blind track, if the ensemble has it.
    """
    among = members_on(members, track)
    scores = [member.scores(fold, track) for member in among]
    mean = weighted_mean(
        [member_scores.probabilities for member_scores in scores],
        [member.weight for member in among],
    )
    result = Scores(scores[0].keys, scores[0].classes, mean)
    if fell_back and "blind" in tracks_of(members):
        return with_blind_answers(result, mean_scores(members, fold, "blind"), fell_back)
    return result


def with_blind_answers(adapted: Scores, blind: Scores, fell_back: Collection[str]) -> Scores:
    """Returns adapted scores with the blind ones of the utterances whose keys are `fell_back`."""
    rows = np.isin(adapted.keys, list(fell_back))[:, None]
    return replace(
        adapted, probabilities=np.where(rows, blind.probabilities, adapted.probabilities)
    )


def write_fold(
    members: Sequence[Member], fold: Fold, feature_set: FeatureSet, output: Path
) -> dict[str, Any]:
    """Writes the scores and the record of a fold; returns the record.

    Args:
        members: those of the ensemble.
        fold: of the protocol.
        feature_set: names the speakers.
        output: Path. The ensemble's folder.
    """
    folder = output / "folds" / fold.name
    num_classes = len(members[0].protocol.class_set.classes)
    own, by_track = own_track(members), {}
    speaker_of = {row.key: f"{row.corpus}/{row.speaker}" for row in feature_set.rows}
    unknown = {
        name for member in members for name in member.records[fold.name].get("not_adapted", ())
    }
    fell_back = {key for key in fold.test if speaker_of[key] in unknown}
    for track in tracks_of(members):
        scores = mean_scores(members, fold.name, track, fell_back if track == "adapted" else ())
        write_atomic(
            folder / scores_name(track, own),
            lambda file, scores=scores: np.savez(file, **vars(scores)),  # type: ignore[misc]
        )
        by_track[track] = {
            "wa": metrics.weighted_accuracy(scores.classes, scores.predicted),
            "ua": metrics.unweighted_accuracy(scores.classes, scores.predicted, num_classes),
        }
    record = {
        "fold": fold.name,
        "recipe": "ensemble",
        MEMBERS: [_member_facts(member, fold.name, output) for member in members],
        "test_speakers": sorted({speaker_of[key].partition("/")[2] for key in fold.test}),
        "track": own,
        **by_track[own],
        "tracks": by_track,
        **_summed_facts([member.records[fold.name] for member in members]),
    }
    record["weights_sha256"] = members_sha256(record[MEMBERS])
    write_json(folder / "fold.json", record)
    return record


def members_sha256(facts: Sequence[Mapping[str, Any]]) -> str:
    """Returns one hash of the weights of all members and of their shares in the mean.

    Args:
        facts: the members in an ensemble's `fold.json`.
    """
    shares = sorted((member["weights_sha256"], round(member["weight"], 9)) for member in facts)
    return hashlib.sha256(repr(shares).encode()).hexdigest()


def _member_facts(member: Member, fold: str, output: Path) -> dict[str, Any]:
    record = member.records[fold]
    return {
        "name": member.name,
        # So that a tree with all runs can be moved.
        "run": os.path.relpath(member.run.resolve(), output.resolve()),
        "model": member.result["model"],
        "weight": member.weight,
        "tracks": list(member.tracks),
        "recipe": member.recipe_of[fold],
        "spec": record["config"]["spec"],
        "seed": record["config"]["seed"],
        "config_sha256": record["config_sha256"],
        "weights_sha256": record["weights_sha256"],
        "epoch": record["epoch"],
        "epochs_run": len(record["history"]),
    }


def epoch_chosen_by(records: Sequence[Mapping[str, Any]]) -> str:
    """Returns `validation` if the validation part chose the epoch of any member, else `last`."""
    chosen = {record["epoch_chosen_by"] for record in records}
    return "validation" if "validation" in chosen else "last"


def _summed_facts(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the facts of a fold over its members: sums of costs, and the largest of sizes."""
    starts = sorted({record["weights"]["initialisation"] for record in records})
    return {
        "sizes": {
            name: max(record["sizes"].get(name, 0) for record in records)
            for name in records[0]["sizes"]
        },
        "not_adapted": sorted(
            {name for record in records for name in record.get("not_adapted", ())}
        ),
        **{
            name: _without_repeats(facts for record in records for facts in record.get(name, ()))
            for name in ("unlabelled_sets", "joint_sets")
        },
        "epoch": max(record["epoch"] for record in records),
        "epoch_chosen_by": epoch_chosen_by(records),
        "history": [],
        "weights": {"initialisation": " and ".join(starts)},
        "parameters": sum(record["parameters"] for record in records),
        **{
            name: round(sum(record[name] for record in records), 1)
            for name in ("train_seconds", "cpu_seconds")
            if all(name in record for record in records)
        },
    }


def _without_repeats(sets: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    by_fingerprint: dict[str, dict[str, Any]] = {}
    for facts in sets:
        by_fingerprint.setdefault(facts["fingerprint"], facts)
    return list(by_fingerprint.values())
