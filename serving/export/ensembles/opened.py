"""A fold of an ensemble, opened for its export."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError
from ser_keras.experiments.calibration import UNCALIBRATED, temperature_of
from ser_keras.experiments.ensemble.stored import features_of, mean_of, read_fold, stored_members
from ser_keras.experiments.run_result import read_result
from ser_keras.protocols import Protocol
from ser_keras.training.predict import Scores
from serving.export.ensembles.signatures import ServedEnsemble
from serving.export.trained_model import TrainedModel, open_run


@dataclass(frozen=True)
class TrainedEnsemble:
    """The models of one fold of an ensemble, and the files that describe it.

    Made by `open_ensemble`.

    Args:
        record: mapping. The fold's `fold.json` in the ensemble's folder.
        protocol: the folds.
        members: the models, without temperatures of their own.
        names: of the members.
        weights: of the members in the mean.
        result: mapping. The ensemble's `result.json`.
        calibration: mapping. See `ser_keras.experiments.calibration.temperature_of`.
    """

    record: dict[str, Any]
    protocol: Protocol
    members: Sequence[TrainedModel]
    names: Sequence[str]
    weights: Sequence[float]
    result: dict[str, Any]
    calibration: dict[str, Any]

    @property
    def served(self) -> ServedEnsemble:
        """What is exported."""
        adapted = self.record["track"] == "adapted"
        return ServedEnsemble(
            [member.served for member in self.members],
            self.weights,
            self.calibration["temperature"],
            ("blind", "adapted") if adapted else ("blind",),
        )

    @property
    def leader(self) -> int:
        """The number of the member whose maps and features are shown."""
        served = self.served
        return served.members.index(served.leader)

    def scores(self, keys: Sequence[str], track: str) -> Scores:
        """Returns the ensemble's scores of utterances on a track, as evaluation makes them.

        Args:
            keys: of the utterances; on the adapted track their speakers are known by these alone.
            track: `blind` or `adapted`.
        """
        numbers = self.served.on(track)
        return mean_of(
            [self.members[number].scores(keys, track) for number in numbers],
            [self.weights[number] for number in numbers],
        )


def open_ensemble(run: Path, features: Sequence[Path], fold: str | None = None) -> TrainedEnsemble:
    """Returns the models of a fold of an ensemble.

    Args:
        run: folder of `ser ensemble`.
        features: output folders of `ser features`, one for each kind of features of the members.
        fold: name of the fold; may be left out where the ensemble has only one.

    Raises:
        ConfigError: the fold is unknown or not given, features are missing, or members want audio
            at different rates.
        SchemaError: a member is gone or was trained again, or a temperature of other weights.
    """
    record = read_fold(run, fold)
    stored = stored_members(run, record)
    feature_sets = [FeatureSet.open(path) for path in features]
    members = []
    for member in stored:
        path = features_of(member, feature_sets).path
        trained = open_run(member.run, path, record["fold"])
        members.append(replace(trained, calibration=dict(UNCALIBRATED)))
    rates = sorted({member.served.spec.sample_rate_hz for member in members})
    if len(rates) > 1:
        raise ConfigError(
            f"{run}: found members for audio at {', '.join(map(str, rates))} Hz, expected one rate "
            "for all of an export. Make an ensemble of those of one rate."
        )
    return TrainedEnsemble(
        record,
        Protocol.load(run / "protocol.json"),
        members,
        [member.name for member in stored],
        [member.weight for member in stored],
        read_result(run / "result.json"),
        temperature_of(run, record),
    )
