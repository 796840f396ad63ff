"""The temperature of every fold of a run, fitted on speech that its model was not trained on.

Where validation speakers chose the epoch, the fold's own model is fitted on them. Where the epochs
were fixed in advance it has trained on them, too; then a second model trains without them, and the
temperature that suits it is given to the first. The test part has no say in either; it only shows
whether the temperature helped.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_keras import metrics
from ser_keras.config import config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError
from ser_keras.experiments.crossval import check_spec, choose_folds, pooled_scores
from ser_keras.experiments.evaluate import trained_folds
from ser_keras.experiments.fold_runs import FoldProgress, named_progress, validation_fold
from ser_keras.files import write_json
from ser_keras.models import load_model
from ser_keras.protocols import Fold, Protocol
from ser_keras.training.checkpoint import differing
from ser_keras.training.predict import predict
from ser_keras.training.trainer import FoldTrainer
from ser_keras.training.unlabelled import UnlabelledSpeech

FILE = "calibration.json"
# Of a model that nobody calibrated.
NONE = {"temperature": 1.0, "fitted_on": ""}


def calibrate_run(
    run: Path,
    feature_set: FeatureSet,
    *,
    folds: Sequence[str] = (),
    unlabelled_sets: Sequence[FeatureSet] = (),
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Fits the temperatures of a run and returns them, also in its `calibration.json`.

    Run again, it goes on after a kill.

    Args:
        run: folder of `ser train` or `ser crossval`.
        feature_set: the features that it was trained on.
        folds: names of trained folds; all of them when empty.
        unlabelled_sets: those that it was trained on; needed where a second model trains.
        progress: called as (fold name, epoch, epochs, logs) where a second model trains.

    Returns:
        dict ready for JSON: "folds", with "temperature" and "fitted_on" of each; "before" and
        "after", the calibration error, the cross-entropy and the bins of `metrics.reliability` of
        all test utterances of these folds.

    Raises:
        ConfigError: nothing is trained, or an unknown fold.
        SchemaError: other features or other unlabelled sets than the run was trained on.
    """
    speech = UnlabelledSpeech(feature_set, tuple(unlabelled_sets))
    asked = folds or trained_folds(run)
    protocol = Protocol.load(run / "protocol.json")
    # What was fitted before stays; its models are there and are not trained again.
    chosen = choose_folds(protocol, [*asked, *_stored(run)])
    found = {
        fold.name: _fitted(run / "folds" / fold.name, fold, speech, protocol, progress)
        for fold in chosen
    }
    before = [pooled_scores(run / "folds", [{"fold": name}]) for name in found]
    after = [
        metrics.with_temperature(scores["probabilities"], one["temperature"])
        for scores, one in zip(before, found.values(), strict=True)
    ]
    classes = np.concatenate([scores["classes"] for scores in before])
    result = {
        "folds": found,
        "before": _quality(classes, np.concatenate([scores["probabilities"] for scores in before])),
        "after": _quality(classes, np.concatenate(after)),
    }
    write_json(run / FILE, result)
    return result


def temperature_of(run: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns "temperature" and "fitted_on" of a fold; 1 and nothing where nobody fitted one.

    Args:
        run: folder of the run.
        record: the fold's `fold.json`.

    Raises:
        SchemaError: it was fitted to other weights than the fold has now.
    """
    found = _stored(run).get(record["fold"])
    if found is None:
        return dict(NONE)
    if found["weights_sha256"] != record["weights_sha256"]:
        raise SchemaError(
            f"{run / FILE}: found a temperature for weights {found['weights_sha256'][:12]}, fold "
            f"{record['fold']} has {record['weights_sha256'][:12]}. Run ser calibrate again."
        )
    return {key: found[key] for key in NONE}


def _stored(run: Path) -> dict[str, Any]:
    path = run / FILE
    return json.loads(path.read_text(encoding="utf-8"))["folds"] if path.exists() else {}


def _fitted(
    folder: Path,
    fold: Fold,
    speech: UnlabelledSpeech,
    protocol: Protocol,
    progress: FoldProgress | None,
) -> dict[str, Any]:
    feature_set = speech.feature_set
    path = folder / "fold.json"
    if not path.exists():
        raise ConfigError(f"{path}: found no such file; fold {fold.name} is not trained yet.")
    record = json.loads(path.read_text(encoding="utf-8"))
    config = config_from_dict(record["config"], where=f"fold.json of {fold.name}")
    check_spec(config, feature_set)

    def trainer(part: Fold, folder: Path) -> FoldTrainer:
        return FoldTrainer(
            config,
            feature_set,
            protocol.class_set,
            part,
            folder,
            named_progress(progress, f"{fold.name}, without its validation part"),
            unlabelled=speech if config.select == "last" else None,
            withheld=fold.test,
        )

    own = trainer(fold, folder)
    _refuse_other_data(path, record, own)
    if config.select == "validation":
        model = load_model(folder / "model.keras", config.model.name)
        scores = vars(predict(model, own.parts.part(sorted(own.fold.valid)), config.batch))
        by = "which also chose the epoch"
    else:
        second = _second_model(folder, trainer(validation_fold(fold), folder).identity())
        trainer(validation_fold(fold), second).run()
        scores = pooled_scores(second.parent, [{"fold": second.name}])
        by = "by a second model that did not train on it"
    speakers = {row.speaker for row in feature_set.rows if row.key in set(scores["keys"])}
    whom = f"{len(speakers)} {'speaker' if len(speakers) == 1 else 'speakers'}"
    shared = ", whom it knows from training" if protocol.shares_speakers else ""
    return {
        "temperature": metrics.fit_temperature(scores["classes"], scores["probabilities"]),
        "fitted_on": f"validation part, {len(scores['keys'])} utterances of {whom}{shared}, {by}",
        "weights_sha256": record["weights_sha256"],
    }


def _refuse_other_data(path: Path, record: Mapping[str, Any], own: FoldTrainer) -> None:
    """Raises SchemaError where a fold was trained on something else than is given now."""
    given = own.identity()
    names = ["feature set"]
    if own.config.select == "last":
        names.append("unlabelled speech")  # of the second model
    if other := differing(record, {name: given[name] for name in names}):
        raise SchemaError(
            f"{path}: trained with another {'; another '.join(other)}. Give --features and "
            "--unlabelled as they were given to the run."
        )


def _second_model(folder: Path, identity: Mapping[str, str]) -> Path:
    """Returns where the model without the validation part is, or will be.

    In a nested cross-validation the choice of the recipe has trained it already.
    """
    for path in sorted(folder.glob("choice/*/fold.json")):
        if json.loads(path.read_text(encoding="utf-8")).get("identity") == identity:
            return path.parent
    return folder / "calibration"


def _quality(classes: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    return {
        "expected_calibration_error": metrics.expected_calibration_error(classes, probabilities),
        "cross_entropy": metrics.cross_entropy(classes, probabilities),
        "reliability": metrics.reliability(classes, probabilities),
    }
