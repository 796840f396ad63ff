"""The members of an ensemble: finished runs on the same folds, opened and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ser_keras.config import TrainConfig, config_from_dict
from ser_keras.errors import ConfigError, LeakageError, SchemaError, unknown_name
from ser_keras.experiments.run_result import read_result, read_scores
from ser_keras.protocols import Fold, Protocol, choose_folds
from ser_keras.training.history import read_fold_record
from ser_keras.training.predict import Scores
from ser_keras.training.trainer import scores_name

MEMBERS = "members"


def is_ensemble(run: Path) -> bool:
    """Tells whether a folder holds an ensemble rather than a trained run."""
    path = run / "result.json"
    return path.is_file() and MEMBERS in read_result(path)


@dataclass(frozen=True)
class Member:
    """A finished run and its share in the mean.

    Args:
        name: str. Name of the run's folder; its path where two have the same.
        run: Path. Folder of `ser train` or `ser crossval`.
        weight: float. Its share; those of all members add up to 1.
        protocol: the run's folds.
        result: mapping. Its `result.json`.
        records: mapping of fold to its `fold.json`.
        only: str. The one track whose mean it is in; "" for all that it was made for.
    """

    name: str
    run: Path
    weight: float
    protocol: Protocol
    result: Mapping[str, Any]
    records: Mapping[str, Mapping[str, Any]]
    only: str = ""

    @property
    def track(self) -> str:
        """The run's own track."""
        track: str = self.result.get("track", "blind")
        return track

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks whose means it is in, its own first."""
        return (self.only,) if self.only else self.tracks_of_run

    @property
    def tracks_of_run(self) -> tuple[str, ...]:
        """The tracks that it was made for, its own first; its folds are scored on these."""
        return self.config(next(iter(self.records))).tracks

    @cached_property
    def recipe_of(self) -> dict[str, str]:
        """Names of the recipe by fold; the validation part may have chosen among several."""
        only = next(iter(self.result["recipes"]))
        return {fold["fold"]: fold.get("recipe", only) for fold in self.result["folds"]}

    def folder(self, fold: str) -> Path:
        """Returns the folder of a fold."""
        return self.run / "folds" / fold

    def config(self, fold: str) -> TrainConfig:
        """Returns the configuration that a fold was trained with."""
        return config_from_dict(
            self.records[fold]["config"], where=f"fold.json of {fold} in {self.run}"
        )

    def scores(self, fold: str, track: str) -> Scores:
        """Returns the stored scores of a fold's test part on a track.

        Raises:
            SchemaError: the file is missing or damaged.
        """
        path = self.folder(fold) / scores_name(track, self.track)
        if not path.is_file():
            raise SchemaError(
                f"{path}: found no such file, expected the scores of the {track} track. Run "
                "ser crossval of this member again, into a new folder."
            )
        stored = read_scores(path)
        return Scores(stored["keys"], stored["classes"], stored["probabilities"])


def open_members(
    runs: Sequence[Path], weights: Sequence[float] = (), tracks: Sequence[str] = ()
) -> list[Member]:
    """Returns the members of an ensemble.

    Args:
        runs: folders of `ser train` or `ser crossval`, two or more.
        weights: one of each run, more than 0; equal ones when empty.
        tracks: the one track that each run is there for, or "" for all of its own; all when empty.

    Raises:
        ConfigError: fewer than two runs, a run twice, another number of weights, a weight that is
            not positive, a track that a run does not have, a folder without a finished run, an
            ensemble among the runs, or runs of other classes or folds.
        LeakageError: the audit of a run found a leak.
    """
    if len(runs) < 2:
        raise ConfigError(f"ensemble: found {len(runs)} run, expected two or more.")
    resolved = [run.resolve() for run in runs]
    if repeated := [
        run for run, path in zip(runs, resolved, strict=True) if resolved.count(path) > 1
    ]:
        raise ConfigError(f"{repeated[0]}: given twice, expected each run once.")
    shares = _shares(runs, weights)
    members = [
        _opened(run, share, only)
        for run, share, only in zip(runs, shares, tracks or [""] * len(runs), strict=True)
    ]
    names = [member.run.resolve().name for member in members]
    for member in members[1:]:
        _check_same_protocol(members[0], member)
    return [
        replace(member, name=name if names.count(name) == 1 else member.run.as_posix())
        for name, member in zip(names, members, strict=True)
    ]


def common_folds(members: Sequence[Member], names: Sequence[str] = ()) -> list[Fold]:
    """Returns the folds called `names`, or all that any member has, which every one must have.

    Raises:
        ConfigError: an unknown fold, or one that a member lacks.
    """
    protocol = members[0].protocol
    trained = {name for member in members for name in member.records}
    in_order = [fold.name for fold in protocol.folds if fold.name in trained]
    wanted = choose_folds(protocol, names or in_order)
    for member in members:
        missing = [fold.name for fold in wanted if fold.name not in member.records]
        if missing:
            raise ConfigError(
                f"{member.run}: found no trained fold {', '.join(missing)}, expected "
                f"{', '.join(fold.name for fold in wanted)}, as all members must have. Run its "
                "ser crossval to the end, or choose folds that all have with --fold."
            )
    return wanted


def _shares(runs: Sequence[Path], weights: Sequence[float]) -> list[float]:
    """Returns the weights scaled to a sum of 1; equal ones where none are given."""
    weights = weights or [1.0] * len(runs)
    if len(weights) != len(runs):
        raise ConfigError(
            f"--weights: found {len(weights)} numbers, expected {len(runs)}, one for each run."
        )
    for weight in weights:
        if not 0 < weight < float("inf"):
            raise ConfigError(
                f"--weights: found {weight:g}, expected numbers above 0. Leave out a run that is "
                "to have no weight."
            )
    return [weight / sum(weights) for weight in weights]


def _opened(run: Path, weight: float, only: str) -> Member:
    path = run / "result.json"
    if not path.is_file() or not (run / "protocol.json").is_file():
        raise ConfigError(
            f"{run}: found no result.json with its protocol.json, expected the --output folder of "
            "a ser crossval that has ended. Run it to the end first."
        )
    result = read_result(path)
    if MEMBERS in result:
        raise ConfigError(
            f"{run}: found an ensemble, expected runs of ser crossval. Give its members instead: "
            f"{', '.join(member['run'] for member in result[MEMBERS])} (as seen from {run})."
        )
    failed = [finding for finding in result["audit"] if finding["severity"] == "fail"]
    if failed:
        raise LeakageError(
            f"{run}: its audit found {failed[0]['check']}: {failed[0]['message']} Leave it out, or "
            "train it again."
        )
    records = {
        record["fold"]: record
        for record in (read_fold_record(file) for file in sorted(run.glob("folds/*/fold.json")))
        if record["fold"] in {fold["fold"] for fold in result["folds"]}
    }
    protocol = Protocol.load(run / "protocol.json")
    member = Member(run.name, run, weight, protocol, result, records, only)
    if only and only not in member.tracks_of_run:
        raise ConfigError(
            f"{run}:{only}: {unknown_name('track of this run', only, member.tracks_of_run)}"
        )
    return member


def _check_same_protocol(first: Member, other: Member) -> None:
    """Checks that two runs have the same classes and folds.

    Raises:
        ConfigError: they have not.
    """
    classes, other_classes = (member.protocol.class_set.classes for member in (first, other))
    if classes != other_classes:
        raise ConfigError(
            f"{other.run}: found the classes {', '.join(other_classes)}, expected "
            f"{', '.join(classes)}, those of {first.run}. Leave it out."
        )
    if first.protocol.sha256 != other.protocol.sha256:
        raise ConfigError(
            f"{other.run}: found the folds of {other.protocol.name} "
            f"({other.protocol.sha256[:12]}), expected those of {first.protocol.name} "
            f"({first.protocol.sha256[:12]}), which {first.run} has. The mean is taken of models "
            "that were tested on the same utterances and trained on none of them. Leave it out."
        )
