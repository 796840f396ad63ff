"""The temperature of an ensemble's folds, fitted as that of a run: on validation speakers.

Each member answers for the validation part by a model that was not trained on it, and the
temperature is fitted to the mean of these answers. The test part has no influence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.experiments.calibration import (
    fitted_facts,
    stored_folds,
    validation_scores,
    write_calibration,
)
from ser_keras.experiments.crossval import choose_folds
from ser_keras.experiments.ensemble.stored import (
    StoredMember,
    features_of,
    mean_of,
    read_fold,
    stored_members,
)
from ser_keras.experiments.evaluate import trained_folds
from ser_keras.experiments.fold_runs import FoldProgress
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.predict import Scores
from ser_keras.training.unlabelled import UnlabelledSpeech


def calibrate_ensemble(
    run: Path,
    feature_sets: Sequence[FeatureSet],
    *,
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
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
        progress: called as (title, epoch, epochs, logs) while a second model is trained.

    Returns:
        dict ready for JSON, see `ser_keras.experiments.calibration.calibrate_run`.

    Raises:
        ConfigError: an unknown fold, or features that are missing.
        SchemaError: a member is gone, or was trained on other features or other unlabelled sets.
    """
    protocol = Protocol.load(run / "protocol.json")
    chosen = choose_folds(protocol, [*(folds or trained_folds(run)), *stored_folds(run)])
    calibrations = {}
    for fold in chosen:
        record = read_fold(run, fold.name)
        members = stored_members(run, record, record["track"])
        parts = [
            _of_member(member, fold, protocol, feature_sets, unlabelled_sets, record, progress)
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


def _of_member(
    member: StoredMember,
    fold: Fold,
    protocol: Protocol,
    feature_sets: Sequence[FeatureSet],
    unlabelled_sets: Sequence[FeatureSet],
    record: dict[str, Any],
    progress: FoldProgress | None,
) -> tuple[Scores, str]:
    """Returns a member's scores of the validation part, and by what model."""
    feature_set = features_of(member, feature_sets)
    given = {other.manifest["fingerprint"]: other for other in unlabelled_sets}
    wanted = member.record["unlabelled_sets"]
    if missing := [facts for facts in wanted if facts["fingerprint"] not in given]:
        raise ConfigError(
            f"{member.run}: was also trained on the unlabelled set {missing[0]['dataset']} "
            f"({missing[0]['fingerprint'][:12]}), which --unlabelled lacks. Give it, so that the "
            "second model can be trained on it too."
        )
    speech = UnlabelledSpeech(feature_set, tuple(given[facts["fingerprint"]] for facts in wanted))
    folder = member.run / "folds" / fold.name
    return validation_scores(
        folder, fold, speech, protocol, progress, track=record["track"], title=member.name
    )
