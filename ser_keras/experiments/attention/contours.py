"""What attention over the frames dwells on: pitch, voicing and loudness under its weights."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ser_keras.adaptation.speakers import Enroller, Enrolment, takes_speakers
from ser_keras.data.batches import evaluation_batches
from ser_keras.errors import ConfigError
from ser_keras.experiments.attention.map_statistics import summary
from ser_keras.experiments.evaluate import TrainedFold, open_fold, trained_folds
from ser_keras.experiments.provenance import class_set_dict, protocol_facts
from ser_keras.features.kinds.prosody import PROSODY_NAMES
from ser_keras.protocols import Protocol

ALL = "all"
# A contour that varies less within an utterance, such as the F0 of a whisper, says nothing there.
LEAST_DEVIATION = 1e-4


def attended_contours(
    run: Path, features: Path, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Returns what the attention over frames prefers, for each prosodic value and emotion.

    For a value x of the frames of an utterance and their attention a, which sums to 1, the
    preference is (sum of a x - mean of x) / deviation of x: 0 where attention does not care for x,
    1 where the attended frames have one standard deviation more of it than the utterance has.
    The model of each fold reads its own test part, so no utterance is read by a model that was
    trained on it, and on the adapted track the speaker's recordings are enrolled.

    Args:
        run: folder of `ser train` or `ser crossval`, with features that have prosody and a model
            that has one attention weight for each frame.
        features: output folder of `ser features`.
        progress: called with the name of each fold before it is scored.

    Returns:
        dict ready for JSON. "contours" has for each value of `PROSODY_NAMES`, and in it for each
        class and for "all", "mean" over utterances, "interval" (95 %, over speakers; None with one)
        and "utterances".

    Raises:
        ConfigError: features without prosody, or a model without one weight for each frame.
        SchemaError: features of another spec.
    """
    names = trained_folds(run)
    classes: list[int] = []
    speakers: list[str] = []
    preferences: list[np.ndarray] = []
    for name in names:
        if progress is not None:
            progress(name)
        fold = open_fold(run, features, name)
        _check(run, fold)
        speaker_of = {row.key: row.speaker for row in fold.part.rows}
        for key, true, preferred in _preferences(fold):
            speakers.append(speaker_of[key])
            classes.append(true)
            preferences.append(preferred)
    table, by_row = np.stack(preferences), np.asarray(speakers)
    rows_of = {ALL: np.full(len(table), True)}
    for number, name in enumerate(fold.class_set.classes):
        rows_of[name] = np.equal(classes, number)
    return _facts(run, fold, len(names)) | {
        "utterances": len(table),
        "speakers": len(set(speakers)),
        "contours": {
            contour: {
                name: summary(table[rows, column].tolist(), by_row[rows].tolist())
                for name, rows in rows_of.items()
            }
            for column, contour in enumerate(PROSODY_NAMES)
        },
    }


def _facts(run: Path, fold: TrainedFold, folds_run: int) -> dict[str, Any]:
    protocol = Protocol.load(run / "protocol.json")
    return {
        "model": fold.config.model.name,
        "track": fold.config.track,
        "dataset": fold.feature_set.schema.name,
        "spec": fold.config.spec,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol) | {"folds_run": folds_run},
    }


def preference(contours: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Returns by how many deviations the attended frames lie above all frames of an utterance.

    Args:
        contours: float (frames, values), without padding.
        attention: float (columns,). Column t stands for the frames from t * stride on, with the
            stride that `frames` divided by `columns` gives, rounded up. It sums to 1.

    Returns:
        float (values,); nan where a value does not vary.

    Example:
        >>> contours = np.array([[0.0], [0.0], [2.0], [2.0]])
        >>> preference(contours, np.array([0.0, 1.0])).tolist()
        [1.0]
    """
    frames, columns = len(contours), len(attention)
    column = np.arange(frames) // -(-frames // columns)
    # Equal shares for the frames of a column, whose sum is the column's weight.
    weights = attention[column] / np.bincount(column, minlength=columns)[column]
    deviation = contours.std(axis=0)
    shift = weights @ contours / weights.sum() - contours.mean(axis=0)
    return np.where(
        deviation > LEAST_DEVIATION, shift / np.maximum(deviation, LEAST_DEVIATION), np.nan
    )


def _check(run: Path, fold: TrainedFold) -> None:
    if fold.feature_set.schema.spec["kind"] != "prosody":
        raise ConfigError(
            f"{run}: was trained on {fold.config.spec}, which has no pitch and no loudness, "
            "expected features such as mel64-prosody."
        )
    attention = fold.model.output.get("attention")
    if attention is None or attention.ndim != 2:
        raise ConfigError(
            f"{run}: found a run of {fold.config.model.name} whose attention has not one weight "
            "for each frame, expected a model that averages frames by attention, such as recipe "
            "attention_cnn-speaker."
        )


def _preferences(fold: TrainedFold) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yields (key, class, preference of each prosodic value) of the fold's utterances."""
    reader = keras.Model(fold.model.input, fold.model.output["attention"])
    reader.jit_compile = False  # see `predict`
    enrolment = _enrolment(fold) if takes_speakers(fold.model) else None
    batch = fold.config.batch
    fixed = keras.backend.backend() != "tensorflow"
    for keys, inputs, classes in evaluation_batches(
        fold.part, batch.size, batch.bucket_frames, fixed
    ):
        of_speakers = enrolment.inputs(keys) if enrolment else {}
        maps = reader.predict_on_batch({**inputs, **of_speakers})
        values, real = inputs["features"], inputs["mask"]
        stride = -(-values.shape[1] // maps.shape[1])
        for number, key in enumerate(keys):
            frames = int(np.sum(real[number]))
            contours = np.asarray(values[number, :frames, -len(PROSODY_NAMES) :], np.float64)
            attention = maps[number, : -(-frames // stride)]
            yield str(key), int(classes[number]), preference(contours, attention)


def _enrolment(fold: TrainedFold) -> Enrolment:
    """Returns what the model is told of the speakers; the pooled embedding needs no statistics."""
    enroller = Enroller(fold.model, fold.part)
    if fold.config.track == "blind":
        return enroller.blind()
    return enroller.enrolled(least_s=fold.config.adaptation.least_s)
