"""The result of an ensemble: the fields of a cross-validation's, with every member beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import audit, metrics
from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import pooled_scores
from ser_keras.experiments.ensemble.members import MEMBERS, Member
from ser_keras.experiments.ensemble.scoring import epoch_chosen_by, members_on, own_track
from ser_keras.experiments.provenance import (
    class_set_dict,
    feature_facts,
    finding_dict,
    protocol_facts,
)
from ser_keras.experiments.run_result import not_adapted

MODEL = "ensemble"
_SCORES = ("ua", "ua_interval", "wa", "wa_interval", "macro_f1")


def summarize_ensemble(
    members: Sequence[Member],
    feature_sets: Sequence[FeatureSet],
    output: Path,
    records: Sequence[Mapping[str, Any]],
    findings: Sequence[audit.Finding],
    command: str,
    track: str,
) -> dict[str, Any]:
    """Returns the ensemble's result on a track.

    Beside the fields of a cross-validation it has "members", each with its own scores on the same
    folds and track and the paired difference to the ensemble; "best_member", the one with the
    highest UA on the test parts; "left_out", the members that are not in this track's mean; and
    "note", a sentence where a member's adapted track has no use.

    Args:
        members: those of the ensemble.
        feature_sets: the features that they were trained on.
        output: Path. The ensemble's folder, with the scores of its folds.
        records: of the folds, see `scoring.write_fold`.
        findings: of the audit.
        command: the command line, for the record.
        track: `blind` or `adapted`.
    """
    protocol = members[0].protocol
    classes = protocol.class_set.classes
    scores = pooled_scores(output / "folds", records, track)
    speaker_of = {row.key: row.speaker for row in feature_sets[0].rows}
    speakers = [speaker_of[key] for key in scores["keys"]]
    predicted = scores["probabilities"].argmax(axis=1)
    among = members_on(members, track)
    fell_back = not_adapted(records) if track == "adapted" else []
    facts = [_member_result(member, records, scores, speakers, track) for member in among]
    return {
        "model": MODEL,
        # Which runs to take and with what weights is nobody's paper.
        "settings": "ours",
        "track": track,
        "not_adapted": fell_back,
        "chosen": False,
        "dataset": feature_sets[0].schema.name,
        "corpus": feature_sets[0].schema.corpus,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol) | {"folds_run": len(records)},
        "epoch_chosen_by": epoch_chosen_by(
            [member.records[record["fold"]] for member in among for record in records]
        ),
        "pooled": metrics.summarize(scores["classes"], scores["probabilities"], speakers, classes),
        "by_speaker": metrics.confusion_by_speaker(
            scores["classes"], predicted, speakers, len(classes)
        ),
        "reliability": metrics.reliability(scores["classes"], scores["probabilities"]),
        "over_folds": {name: _spread(records, track, name) for name in ("wa", "ua")},
        MEMBERS: facts,
        "best_member": _best(facts),
        "left_out": [_left_out(member, track) for member in members if member not in among],
        "note": _note(members),
        "cost": _summed_cost(among, records),
        "weights": records[0]["weights"],
        "features": _joined_features(feature_sets),
        "audit": [
            finding_dict(finding)
            for finding in (*findings, _track_finding(among, records, track, fell_back))
        ],
        "recipes": {},  # those of the members stand with them
        "command": command,
        "versions": provenance.versions(),
        "commit": provenance.git_commit(),
        "folds": [dict(record) | record["tracks"][track] for record in records],
    }


def _member_result(
    member: Member,
    records: Sequence[Mapping[str, Any]],
    ensemble: Mapping[str, np.ndarray],
    speakers: Sequence[str],
    track: str,
) -> dict[str, Any]:
    """Returns who a member is, its scores, and how much higher those of the ensemble are."""
    classes = member.protocol.class_set.classes
    parts = [member.scores(record["fold"], track) for record in records]
    truth = np.concatenate([part.classes for part in parts])
    probabilities = np.concatenate([part.probabilities for part in parts])
    pooled = metrics.summarize(truth, probabilities, speakers, classes)
    by_fold = [
        next(facts for facts in record[MEMBERS] if facts["name"] == member.name)
        for record in records
    ]
    copied = ("recipe", "seed", "config_sha256", "weights_sha256", "epoch", "epochs_run")
    return {
        **{key: by_fold[0][key] for key in ("name", "run", "model", "spec", "seed", "weight")},
        "settings": member.result["settings"],
        "track": member.track,
        **{key: pooled[key] for key in _SCORES},
        "ensemble_above": list(
            metrics.speaker_difference(
                truth,
                ensemble["probabilities"].argmax(axis=1),
                probabilities.argmax(axis=1),
                speakers,
                len(classes),
            )
        ),
        "cost": _summed_cost([member], records),
        "recipes": member.result["recipes"],
        "folds": [
            {"fold": record["fold"]} | {key: facts[key] for key in copied}
            for record, facts in zip(records, by_fold, strict=True)
        ],
    }


def _track_finding(
    members: Sequence[Member],
    records: Sequence[Mapping[str, Any]],
    track: str,
    fell_back: Sequence[str],
) -> audit.Finding:
    """Returns what was known of the test speakers, by the member that asks for the most speech."""
    tested = sorted({name for record in records for name in record["test_speakers"]})
    least_s = max(
        member.config(record["fold"]).adaptation.least_s for member in members for record in records
    )
    return audit.audit_track(track, tested, fell_back, least_s)


def _best(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    best = max(facts, key=lambda member: member["ua"])
    copied = ("name", "model", "seed", *_SCORES, "ensemble_above")
    return {
        **{key: best[key] for key in copied},
        # The comparison favours the member: it is the best of several on these very utterances.
        "chosen_by": "UA on the test parts",
    }


def _left_out(member: Member, track: str) -> dict[str, str]:
    return {
        "name": member.name,
        "model": member.result["model"],
        "reason": f"has no {track} track: it was trained without statistics of a speaker",
    }


def _spread(records: Sequence[Mapping[str, Any]], track: str, name: str) -> dict[str, float]:
    values = [record["tracks"][track][name] for record in records]
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def _summed_cost(members: Sequence[Member], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the members' cost added up; "at_frames" is the most frames of a median utterance."""
    costs = [member.result["cost"] for member in members]
    trainings = [member.records[record["fold"]] for member in members for record in records]
    return {
        "parameters": sum(cost["parameters"] for cost in costs),
        "multiply_accumulates": sum(cost["multiply_accumulates"] for cost in costs),
        "at_frames": max(cost["at_frames"] for cost in costs),
        **{
            name: round(sum(training[name] for training in trainings), 1)
            for name in ("train_seconds", "cpu_seconds")
            if all(name in training for training in trainings)
        },
    }


def _joined_features(feature_sets: Sequence[FeatureSet]) -> dict[str, Any]:
    """Returns the facts about all feature sets; the names and hashes of several are joined."""
    facts = [feature_facts(feature_set) for feature_set in feature_sets]
    return {
        **facts[0],
        "spec_name": ", ".join(fact["spec_name"] for fact in facts),
        "fingerprint": ", ".join(fact["fingerprint"] for fact in facts),
        "sets": facts,
    }


def _note(members: Sequence[Member]) -> str:
    """Returns the sentence for an ensemble that has no adapted track though a member has one."""
    adapted = [member.name for member in members if member.track == "adapted"]
    if not adapted or own_track(members) == "adapted":
        return ""
    return (
        f"Only {adapted[0]} has an adapted track; an ensemble needs two such members to have one, "
        "so it is scored on the blind track alone."
    )
