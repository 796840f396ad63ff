"""The temperature of every fold of a run, fitted on speech that its model was not trained on.

If validation speakers chose the epoch, the temperature is fitted on them with the fold's own model.
If the epochs were fixed in advance, that model was trained on them too. Then a second model is
trained without them, and its temperature is used for the first. The test part has no influence on
either; it only shows whether the temperature helped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments.crossval import check_spec, pooled_scores
from ser_keras.experiments.evaluate import trained_folds
from ser_keras.experiments.fold_runs import FoldProgress, named_progress, validation_fold
from ser_keras.files import read_json, write_json
from ser_keras.models import load_model
from ser_keras.protocols import Fold, Protocol, choose_folds
from ser_keras.training.checkpoint import identity_differences
from ser_keras.training.further_speech import FurtherSpeech
from ser_keras.training.history import read_fold_record
from ser_keras.training.predict import Scores, predict
from ser_keras.training.trainer import FoldTrainer

FILE = "calibration.json"
UNCALIBRATED = {"temperature": 1.0, "fitted_on": ""}


def calibrate_run(
    run: Path,
    feature_set: FeatureSet,
    *,
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
    joint_sets: Sequence[FeatureSet] = (),
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Fits the temperatures of a run, writes `calibration.json` and returns them.

    The same call resumes a killed run.

    Args:
        run: folder of `ser train` or `ser crossval`.
        feature_set: the features that it was trained on.
        folds: names of trained folds; all of them when empty.
        unlabelled_sets: those that it was trained on; needed if a second model is trained.
        joint_sets: the same.
        progress: called as (fold name, epoch, epochs, logs) while a second model is trained.

    Returns:
        dict ready for JSON: "folds", with "temperature" and "fitted_on" of each; "before" and
        "after", the calibration error, the cross-entropy and the bins of `metrics.reliability` of
        all test utterances of these folds.

    Raises:
        ConfigError: nothing is trained, or an unknown fold.
        SchemaError: other features or other unlabelled sets than the run was trained on.
    """
    speech = FurtherSpeech(feature_set, tuple(unlabelled_sets), tuple(joint_sets))
    protocol = Protocol.load(run / "protocol.json")
    # Folds that were fitted before stay in the result; their models are not trained again.
    chosen = choose_folds(protocol, [*(folds or trained_folds(run)), *stored_folds(run)])
    calibrations = {}
    for fold in chosen:
        folder = run / "folds" / fold.name
        scores, by = validation_scores(folder, fold, speech, protocol, progress)
        record = read_fold_record(folder / "fold.json")
        calibrations[fold.name] = fitted_facts(scores, feature_set, protocol, record, by)
    return write_calibration(run, calibrations)


def write_calibration(run: Path, calibrations: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Writes `calibration.json` and returns it: the temperatures, and what they do to test parts.

    Args:
        run: folder of the run.
        calibrations: by fold, see `fitted_facts`.
    """
    before = [pooled_scores(run / "folds", [{"fold": name}]) for name in calibrations]
    after = [
        metrics.with_temperature(scores["probabilities"], calibration["temperature"])
        for scores, calibration in zip(before, calibrations.values(), strict=True)
    ]
    classes = np.concatenate([scores["classes"] for scores in before])
    result = {
        "folds": dict(calibrations),
        "before": _quality(classes, np.concatenate([scores["probabilities"] for scores in before])),
        "after": _quality(classes, np.concatenate(after)),
    }
    write_json(run / FILE, result)
    return result


def temperature_of(run: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns "temperature" and "fitted_on" of a fold: 1 and "" if it was not calibrated.

    Args:
        run: folder of the run.
        record: the fold's `fold.json`.

    Raises:
        SchemaError: it was fitted to other weights than the fold has now.
    """
    calibration = stored_folds(run).get(record["fold"])
    if calibration is None:
        return dict(UNCALIBRATED)
    if calibration["weights_sha256"] != record["weights_sha256"]:
        raise SchemaError(
            f"{run / FILE}: found a temperature for weights {calibration['weights_sha256'][:12]}, "
            f"fold {record['fold']} has {record['weights_sha256'][:12]}. Run ser calibrate again."
        )
    return {key: calibration[key] for key in UNCALIBRATED}


def stored_folds(run: Path) -> dict[str, Any]:
    """Returns the calibrations of a run that were fitted before, by fold."""
    path = run / FILE
    if not path.exists():
        return {}
    remedy = "Remove this file and give ser calibrate again."
    folds: dict[str, Any] = read_json(path, "temperatures of folds", remedy, ["folds"])["folds"]
    return folds


def validation_scores(
    folder: Path,
    fold: Fold,
    speech: FurtherSpeech,
    protocol: Protocol,
    progress: FoldProgress | None,
    *,
    track: str | None = None,
    title: str = "",
) -> tuple[Scores, str]:
    """Returns the scores of a fold's validation part by a model that was not trained on it.

    Args:
        folder: Path of the fold in its run.
        fold: of the protocol.
        speech: the features that it was trained on, with its further sets.
        protocol: of the run.
        progress: called as (title, epoch, epochs, logs) while a second model is trained.
        track: the recipe's own where it is None.
        title: put before the title of the progress.

    Returns:
        The scores, and what model made them, in words.

    Raises:
        ConfigError: the fold is not trained.
        SchemaError: it was trained on other features or other unlabelled sets.
    """
    feature_set = speech.feature_set
    path = folder / "fold.json"
    if not path.exists():
        raise ConfigError(f"{path}: found no such file; fold {fold.name} is not trained yet.")
    record = read_fold_record(path)
    config = config_from_dict(record["config"], where=f"fold.json of {fold.name}")
    check_spec(config, feature_set)
    name = f"{title}, {fold.name}" if title else fold.name

    def trainer(part: Fold, folder: Path) -> FoldTrainer:
        return FoldTrainer(
            config,
            feature_set,
            protocol.class_set,
            part,
            folder,
            named_progress(progress, f"{name}, without its validation part"),
            further=speech if config.select == "last" else None,
            withheld=fold.test,
        )

    fold_trainer = trainer(fold, folder)
    _check_same_data(path, record, fold_trainer)
    if config.select == "validation":
        model = load_model(folder / "model.keras", config.model.name)
        part = fold_trainer.parts.part(sorted(fold_trainer.fold.valid))
        least_s = config.adaptation.least_s
        scores = predict(model, part, config.batch, track or config.track, least_s)
        return scores, "which also chose the epoch"
    inner = validation_fold(fold)
    inner_folder = _inner_folder(folder, trainer(inner, folder).identity())
    trainer(inner, inner_folder).run()
    inner_record = {"fold": inner_folder.name, "track": config.track}
    stored = pooled_scores(inner_folder.parent, [inner_record], track)
    return Scores(**stored), "by a second model that did not train on it"


def fitted_facts(
    scores: Scores,
    feature_set: FeatureSet,
    protocol: Protocol,
    record: Mapping[str, Any],
    by: str,
) -> dict[str, Any]:
    """Returns a fold's temperature, what it was fitted on, and the weights that it belongs to.

    Args:
        scores: of the validation part.
        feature_set: names its speakers.
        protocol: of the run.
        record: the fold's `fold.json`.
        by: what model made the scores, in words.
    """
    speakers = {row.speaker for row in feature_set.rows if row.key in set(scores.keys)}
    count = f"{len(speakers)} {'speaker' if len(speakers) == 1 else 'speakers'}"
    shared = ", whom it knows from training" if protocol.shares_speakers else ""
    return {
        "temperature": metrics.fit_temperature(scores.classes, scores.probabilities),
        "fitted_on": f"validation part, {len(scores.keys)} utterances of {count}{shared}, {by}",
        "weights_sha256": record["weights_sha256"],
    }


def _check_same_data(path: Path, record: Mapping[str, Any], trainer: FoldTrainer) -> None:
    """Raises SchemaError if a fold was trained on another part or on other features than now."""
    given = trainer.identity()
    names = ["fold", "feature set"]
    if trainer.config.select == "last":
        names.append("unlabelled speech")  # of the second model
    if differences := identity_differences(record, {name: given[name] for name in names}):
        raise SchemaError(
            f"{path}: trained with another {'; another '.join(differences)}. Give --features and "
            "--unlabelled as they were given to the run."
        )


def _inner_folder(folder: Path, identity: Mapping[str, str]) -> Path:
    """Returns the folder of the second model, which is trained without the validation part.

    In a nested cross-validation, choosing the recipe has trained it already.
    """
    for path in sorted(folder.glob("choice/*/fold.json")):
        if read_fold_record(path).get("identity") == identity:
            return path.parent
    return folder / "calibration"


def _quality(classes: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    return {
        "expected_calibration_error": metrics.expected_calibration_error(classes, probabilities),
        "cross_entropy": metrics.cross_entropy(classes, probabilities),
        "reliability": metrics.reliability(classes, probabilities),
    }
