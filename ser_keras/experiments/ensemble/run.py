"""An ensemble of finished runs: audited, scored on the same folds, written like a run."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ser_keras import audit
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments import provenance
from ser_keras.experiments.ensemble.checks import (
    audit_data,
    audit_member,
    check_different,
    check_same_tests,
)
from ser_keras.experiments.ensemble.given import GivenSpeech
from ser_keras.experiments.ensemble.members import (
    MEMBERS,
    Member,
    common_folds,
    open_members,
)
from ser_keras.experiments.ensemble.result import summarize_ensemble
from ser_keras.experiments.ensemble.scoring import own_track, tracks_of, write_fold
from ser_keras.files import write_json
from ser_keras.protocols import Fold
from ser_keras.training.history import read_fold_record

FoldsDone = Callable[[int, int], None]


def run_ensemble(
    runs: Sequence[Path],
    feature_sets: Sequence[FeatureSet],
    output: Path,
    *,
    weights: Sequence[float] = (),
    tracks: Sequence[str] = (),
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
    joint_sets: Sequence[FeatureSet] = (),
    command: str = "",
    progress: FoldsDone = lambda done, total: None,
) -> dict[str, Any]:
    """Scores the mean of the members' class probabilities and returns the result.

    The folder is like that of a cross-validation: for each fold `scores.npz` with the ensemble's
    own track and, where that is the adapted one, `scores-blind.npz`; `result.json` and
    `result-blind.json`. Members made for one track alone are in the mean of that track alone.

    The weights are fixed beforehand: nothing is fitted here, and no score chooses a member.

    Args:
        runs: folders of `ser train` or `ser crossval` on the same folds; seeds, systems and
            features may differ.
        feature_sets: the features that they were trained on, each kind once.
        output: Path. The ensemble's folder.
        weights: one of each run, in any scale; equal ones when empty.
        tracks: the one track that each run is there for, or "" for all of its own; all when empty.
        folds: names of folds; all that the members have when empty.
        unlabelled_sets: those that any of them was trained on.
        joint_sets: the same.
        command: the command line, for the record.
        progress: called as (folds checked, folds).

    Raises:
        ConfigError: runs that have no mean: of other folds or classes, unfinished, one twice;
            weights that are no weights; features that are not those of a run.
        LeakageError: the audit found a leak, or a run was trained on other utterances than its
            folds allow.
        SchemaError: `output` holds another run or an ensemble of others.
    """
    provenance.git_commit()
    members = open_members(runs, weights, tracks)
    chosen = common_folds(members, folds)
    if not feature_sets:
        raise ConfigError("--features: found none, expected those that the runs were trained on.")
    findings = audit_data(members[0].protocol, feature_sets)
    _check_output(output, members)
    given = GivenSpeech(feature_sets, unlabelled_sets, joint_sets)
    for number, fold in enumerate(chosen):
        _check_fold(members, fold, given)
        progress(number + 1, len(chosen))
    used = _features_in_use(members, chosen, given)
    members[0].protocol.save(output / "protocol.json")
    records = [write_fold(members, fold, used[0], output) for fold in chosen]
    findings = [*findings, *_members_findings(members)]
    summary = partial(summarize_ensemble, members, used, output, records, findings, command)
    result = summary(own_track(members))
    write_json(output / "result.json", result)
    if "blind" in tracks_of(members)[1:]:
        write_json(output / provenance.BLIND_RESULT, summary("blind"))
    return result


def _check_fold(members: Sequence[Member], fold: Fold, given: GivenSpeech) -> None:
    for member in members:
        audit_member(member, fold, given.of(member.run, member.records[fold.name]))
    check_different(members, fold.name)
    check_same_tests(members, fold.name)


def _features_in_use(
    members: Sequence[Member], folds: Sequence[Fold], given: GivenSpeech
) -> list[FeatureSet]:
    """Returns the feature sets of the members, each once, in the order of the members."""
    sets = {
        feature_set.manifest["fingerprint"]: feature_set
        for member in members
        for fold in folds
        for feature_set in [given.of(member.run, member.records[fold.name]).feature_set]
    }
    return list(sets.values())


def _members_findings(members: Sequence[Member]) -> list[audit.Finding]:
    """Returns what the audits of the members found in their settings and further sets."""
    return [
        audit.Finding(
            finding["check"],
            finding["severity"],
            f"member {member.name}: {finding['message']}",
            tuple(finding["keys"]),
        )
        for member in members
        for finding in member.result["audit"]
        if finding["check"] in ("settings", "unlabelled")
    ]


def _check_output(output: Path, members: Sequence[Member]) -> None:
    """Refuses a folder that holds something else.

    Raises:
        ConfigError: it is one of the runs.
        SchemaError: it holds another run, or an ensemble of other runs or weights.
    """
    if output.resolve() in [member.run.resolve() for member in members]:
        raise ConfigError(f"--output {output}: is one of the runs, expected a folder of its own.")
    asked = {(member.run.resolve(), round(member.weight, 9), *member.tracks) for member in members}
    for folder in sorted(output.glob("folds/*")):
        path = folder / "fold.json"
        if not path.is_file() and all(file.name.startswith("scores") for file in folder.iterdir()):
            continue  # an ensemble's that was killed
        record = read_fold_record(path) if path.is_file() else {}
        stored = {
            ((output / facts["run"]).resolve(), round(facts["weight"], 9), *facts["tracks"])
            for facts in record.get(MEMBERS, ())
        }
        if stored != asked:
            what = "an ensemble of other runs, weights or tracks" if stored else "a run"
            raise SchemaError(f"{output}: holds {what}. Choose another --output.")
