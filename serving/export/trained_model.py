"""A trained fold of a run, opened for its export."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from ser_keras.adaptation.speakers import takes_speakers
from ser_keras.config import TrainConfig, config_from_dict
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import UNLABELLED, FoldPart
from ser_keras.data.segments import Segments
from ser_keras.errors import ConfigError, SchemaError, unknown_name
from ser_keras.experiments.calibration import temperature_of
from ser_keras.experiments.run_result import read_result
from ser_keras.features.specs import spec_from_dict
from ser_keras.models import load_model
from ser_keras.protocols import Protocol
from ser_keras.training.history import read_fold_record
from ser_keras.training.predict import Scores, predict
from serving.export.signatures import Served


@dataclass(frozen=True)
class TrainedModel:
    """The model of one fold of a run, and the files that describe it. Made by `open_run`.

    Args:
        record: mapping. The fold's `fold.json`.
        protocol: the run's folds.
        feature_set: the features that the model was trained on.
        model: keras.Model.
        result: mapping. The run's `result.json`; empty before the run is complete.
        calibration: mapping. See `ser_keras.experiments.calibration.temperature_of`.
    """

    record: dict[str, Any]
    protocol: Protocol
    feature_set: FeatureSet
    model: keras.Model
    result: dict[str, Any]
    calibration: dict[str, Any]

    @property
    def served(self) -> Served:
        """What is exported."""
        batch = self.record["config"]["batch"]
        by_speaker = takes_speakers(self.model)
        return Served(
            self.model,
            spec_from_dict(self.feature_set.schema.spec),
            self.protocol.class_set.classes,
            Segments(batch["segment_frames"], batch["test_hop"]),
            self.calibration["temperature"],
            tracks=self.tracks,
            least_s=self.config.adaptation.least_s if by_speaker else 0.0,
        )

    @property
    def config(self) -> TrainConfig:
        """The settings of its training."""
        return config_from_dict(self.record["config"], where=f"fold.json of {self.record['fold']}")

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks that the model was trained for."""
        return tuple(sorted(self.config.tracks, reverse=True))

    @property
    def checked_keys(self) -> tuple[str, ...]:
        """Keys of the test part; where the model was trained on everyone, all keys."""
        name = self.record["fold"]
        fold = next(fold for fold in self.protocol.folds if fold.name == name)
        return fold.test or fold.train

    def check_answers_strangers(self) -> None:
        """Checks that the model has an answer for a speaker of whom nothing is known.

        Raises:
            ConfigError: it was trained for the adapted track alone.
        """
        if "blind" not in self.tracks:
            raise ConfigError(
                f"model {self.config.model.name}: was trained for the adapted track alone "
                "(adaptation.blind_share 0), so it has no answer for a speaker of whom nothing is "
                "known. Join it with a run of the blind track or of both by ser ensemble, and "
                "export that."
            )

    def scores(self, keys: Sequence[str], track: str) -> Scores:
        """Returns the model's scores of utterances on a track, as evaluation makes them.

        Args:
            keys: of the utterances; on the adapted track their speakers are known by these alone.
            track: `blind` or `adapted`.
        """
        part = FoldPart(self.feature_set, dict.fromkeys(keys, UNLABELLED))
        least_s = self.config.adaptation.least_s
        return predict(self.model, part, self.config.batch, track, least_s)


def open_run(run: Path, features: Path, fold: str | None = None) -> TrainedModel:
    """Returns the model of a fold with the files that describe it.

    Args:
        run: folder of `ser train` or `ser crossval`.
        features: output folder of `ser features`.
        fold: name of the fold; may be left out where the run has only one.

    Raises:
        ConfigError: the folder is no run, or the fold is unknown or not given.
        SchemaError: features of another spec, or a temperature of other weights.
    """
    names = sorted(path.parent.name for path in run.glob("folds/*/fold.json"))
    if not names:
        raise ConfigError(
            f"{run}: found no trained fold, expected folds/<name>/fold.json. Give the --output "
            "folder of ser train or ser crossval."
        )
    if fold is None and len(names) > 1:
        raise ConfigError(f"{run}: has folds {', '.join(names)}; say which with --fold.")
    fold = fold or names[0]
    if fold not in names:
        raise ConfigError(unknown_name("trained fold", fold, names))
    folder = run / "folds" / fold
    record = read_fold_record(folder / "fold.json")
    feature_set = FeatureSet.open(features)
    spec_name, expected = feature_set.schema.spec_name, record["config"]["spec"]
    if spec_name != expected:
        raise SchemaError(
            f"{feature_set.path}: holds features {spec_name!r}, the model was trained on "
            f"{expected!r}. Give the --features of its training."
        )
    result = run / "result.json"
    return TrainedModel(
        record,
        Protocol.load(run / "protocol.json"),
        feature_set,
        load_model(folder / "model.keras", record["config"]["model"]["name"]),
        read_result(result) if result.exists() else {},
        temperature_of(run, record),
    )
