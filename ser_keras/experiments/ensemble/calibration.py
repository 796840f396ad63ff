"""The temperature of an ensemble's folds, fitted as that of a run: on validation speakers.

Each member answers for the validation part by a model that was not trained on it, and the
temperature is fitted to the mean of these answers. The test part has no influence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments.calibration import (
    fitted_facts,
    stored_folds,
    validation_scores,
    write_calibration,
)
from ser_keras.experiments.ensemble.given import GivenSpeech
from ser_keras.experiments.ensemble.stored import mean_of, read_fold, stored_members
from ser_keras.experiments.evaluate import trained_folds
from ser_keras.experiments.fold_runs import FoldProgress
from ser_keras.protocols import Protocol, choose_folds


def calibrate_ensemble(
    run: Path,
    feature_sets: Sequence[FeatureSet],
    *,
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
    joint_sets: Sequence[FeatureSet] = (),
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Fits the temperatures of an ensemble, writes `calibration.json` and returns them.

    Where a member's epochs were fixed in advance, its second model is trained in the member's own
    run, where `ser calibrate` of the member finds it again.

    Args:
        run: folder of `ser ensemble`.
        feature_sets: one for each kind of features of the members.
        folds: names of folds; all of them when empty.
        unlabelled_sets: those that any member was trained on.
        joint_sets: the same.
        progress: called as (title, epoch, epochs, logs) while a second model is trained.

    Returns:
        dict ready for JSON, see `ser_keras.experiments.calibration.calibrate_run`.

    Raises:
        ConfigError: an unknown fold, or features or further sets that a member was trained on are
            missing.
        SchemaError: a member is gone or was trained again.
    """
    protocol = Protocol.load(run / "protocol.json")
    given = GivenSpeech(feature_sets, unlabelled_sets, joint_sets)
    chosen = choose_folds(protocol, [*(folds or trained_folds(run)), *stored_folds(run)])
    calibrations = {}
    for fold in chosen:
        record = read_fold(run, fold.name)
        members = stored_members(run, record, record["track"])
        parts = [
            validation_scores(
                member.run / "folds" / fold.name,
                fold,
                given.of(member.run, member.record),
                protocol,
                progress,
                track=record["track"],
                title=member.name,
            )
            for member in members
        ]
        mean = mean_of([scores for scores, _ in parts], [member.weight for member in members])
        ways = "; ".join(
            f"{member.name} {by}" for member, (_, by) in zip(members, parts, strict=True)
        )
        calibrations[fold.name] = fitted_facts(
            mean, feature_sets[0], protocol, record, f"by the mean of the members: {ways}"
        )
    return write_calibration(run, calibrations)
