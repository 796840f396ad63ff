"""Searches: which trials are run, and which of them is the best."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import base_tuner

from ser_keras import audit
from ser_keras.config import TrainConfig, load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, SchemaError, SerError
from ser_keras.experiments import provenance
from ser_keras.experiments.crossval import check_spec, write_config
from ser_keras.experiments.fold_runs import FoldProgress, Note, print_nothing
from ser_keras.experiments.provenance import class_set_dict, protocol_facts
from ser_keras.experiments.searched_folds import BEST, PROTOCOL, RESULT
from ser_keras.files import write_json
from ser_keras.protocols import Fold, Protocol, choose_folds
from tuning.oracles import OBJECTIVE, OWN, build_oracle
from tuning.search_folder import ORACLE, claim, remove_damaged
from tuning.space import Space
from tuning.trial import COMPLETED, finished_records, run_trial, trial_config


@dataclass(frozen=True)
class Search:
    """What is searched, where, and how long.

    Args:
        space: recipe and settings.
        strategy: str. One of `tuning.oracles.STRATEGIES`.
        trials: int. Number of trials; hyperband, which plans its own number, ends after so many.
        folds: tuple of str. Folds of the protocol whose validation speakers judge.
        changes: tuple of `key=value`, of all trials.
        seed: int. Of the choice of trials.
        trial_epochs: int or None. Epochs of every trial, of which the recipe may have more.
    """

    space: Space
    strategy: str
    trials: int
    folds: tuple[str, ...]
    changes: tuple[str, ...] = ()
    seed: int = 0
    trial_epochs: int | None = None

    def facts(self) -> dict[str, Any]:
        """Returns what is searched as plain values."""
        return {
            "recipe": self.space.recipe,
            "settings": {setting.key: setting.to_dict() for setting in self.space.settings},
            "strategy": self.strategy,
            "trials": self.trials,
            "folds": list(self.folds),
            "changes": list(self.changes),
            "seed": self.seed,
            "trial_epochs": self.trial_epochs,
        }

    def config(self, values: Mapping[str, Any], epochs: int | None = None) -> TrainConfig:
        """Returns the configuration with these values; `epochs` instead of the recipe's."""
        return trial_config(self.space.recipe, values, self.changes, epochs)


class FoldTuner(base_tuner.BaseTuner):
    """Runs keras-tuner's trials as `run_trial` does.

    Args:
        search: what is searched.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. Of the search; keras-tuner's files are in `oracle`, ours in `trials`.
        progress: called as (trial and fold, epoch, epochs, logs).
        prunes: bool. Whether trials below the median are stopped. Which ones depends on those that
            ended before: where several run at once, on chance.
    """

    def __init__(
        self,
        search: Search,
        feature_set: FeatureSet,
        protocol: Protocol,
        output: Path,
        progress: FoldProgress | None = None,
        *,
        prunes: bool = True,
    ):
        self.prunes = prunes
        self.asked, self.feature_set, self.protocol = search, feature_set, protocol
        self.output, self.progress = output, progress
        self.epochs = search.trial_epochs or search.config({}).epochs
        self.folds = choose_folds(protocol, search.folds)
        oracle = build_oracle(
            search.strategy,
            search.space.hyper_parameters(search.changes),
            search.trials,
            self.epochs,
            search.seed,
        )
        records = finished_records(output / "trials")
        # A worker's oracle is a client of the chief's, which has no records.
        self.recorded = {record["trial"]: record["values"] for record in records}
        oracle.recorded = self.recorded
        super().__init__(oracle, directory=output, project_name=ORACLE)

    def run_trial(self, trial: Any, verbose: int = 0) -> dict[str, float]:
        """Returns the objective of keras-tuner's trial."""
        chosen = trial.hyperparameters.values
        values = {key: value for key, value in chosen.items() if not key.startswith(OWN)}
        self._check_recorded(trial.trial_id, values)
        try:
            record = run_trial(
                self.asked.config(values, chosen.get("tuner/epochs", self.epochs)),
                values,
                self.feature_set,
                self.protocol,
                self.folds,
                self.output / "trials" / trial.trial_id,
                self.progress,
                prunes=self.prunes,
            )
        except SerError as error:
            # A leak, or a recipe that cannot be built, is not a bad trial: it ends the search.
            raise keras_tuner.errors.FatalError(str(error)) from error
        return {OBJECTIVE.name: record["ua"]}

    def _check_recorded(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Refuses the record of a trial with other values, as a fatal error of keras-tuner.

        Hyperband plans its trials by its own state; where that was lost, it may draw others.
        """
        recorded = self.recorded.get(trial_id, values)
        if recorded != values:
            error = SchemaError(
                f"{self.output}: trial {trial_id} is recorded with {recorded}, the search draws "
                f"{values}, since keras-tuner's files were lost. Choose another --output, or "
                f"remove {self.output / 'trials'} to begin anew."
            )
            raise keras_tuner.errors.FatalError(str(error)) from error

    def save(self) -> None:
        """Writes the state from which a search continues after a kill."""
        if not self._is_worker():
            self.oracle.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())

    def _run_and_update_trial(self, trial: Any, *args: Any, **options: Any) -> None:
        """Runs a trial and tells the oracle.

        If the chief does not answer, the trial is not at fault; keras-tuner would count it as
        failed.
        """
        results = self.run_trial(trial, *args, **options)
        try:
            self.oracle.update_trial(trial.trial_id, results)
        except Exception as error:
            raise keras_tuner.errors.FatalError(f"no answer from the chief: {error}") from error


def run_search(
    search: Search,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    command: str = "",
    progress: FoldProgress | None = None,
    note: Note = print_nothing,
) -> dict[str, Any]:
    """Runs or continues a search and returns what it found, also in `search.json`.

    The best trial's configuration is in `best.yaml`, for `ser train` and `ser crossval`.

    Raises:
        LeakageError: the audit of protocol and data found a leak.
        ConfigError: an unknown fold, strategy or key, or features that the recipe is not made for.
        SchemaError: `output` holds another search.
    """
    begin_search(search, feature_set, protocol, output, note)
    run_tuner(FoldTuner(search, feature_set, protocol, output, progress))
    return end_search(search, feature_set, protocol, output, command)


def begin_search(
    search: Search,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    note: Note = print_nothing,
) -> None:
    """Audits the data of a search, claims its folder, and mends what a full disk has damaged.

    Args:
        search: what is searched.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. The search's folder.
        note: called with a sentence where a search goes on.

    Raises:
        SerError: as `run_search` does.
    """
    check_data(load_config(search.space.recipe, search.changes), feature_set, protocol)
    choose_folds(protocol, search.folds)
    data = {"protocol": protocol.sha256, "features": feature_set.manifest["fingerprint"]}
    claim(output, "a search", search.facts() | data)
    protocol.save(output / PROTOCOL)
    ended = len(finished_records(output / "trials"))
    if damaged := remove_damaged(output):
        note(f"{damaged} is damaged or missing; what was drawn is made again from the records.")
    if 0 < ended < search.trials:
        note(f"{ended} of {search.trials} trials are finished; going on with the others.")


def run_tuner(tuner: FoldTuner) -> None:
    """Runs the trials of a tuner.

    Raises:
        SerError: what ended a trial, where it would end the others, too.
    """
    try:
        tuner.search(verbose=0)
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ or error from None


def end_search(
    search: Search, feature_set: FeatureSet, protocol: Protocol, output: Path, command: str
) -> dict[str, Any]:
    """Returns what a search found and writes it to `search.json` and `best.yaml`."""
    result = summarize_search(search, feature_set, protocol, output) | {"command": command}
    write_json(output / RESULT, result)
    return result


def summarize_search(
    search: Search, feature_set: FeatureSet, protocol: Protocol, output: Path
) -> dict[str, Any]:
    """Returns all trials, the best of those trained on every fold, and what they were run on."""
    records = finished_records(output / "trials")
    if not records:
        raise SerError(f"{output}: no trial has ended. Give the command again, with more time.")
    completed = [record for record in records if record["status"] == COMPLETED]
    best = max(completed, key=lambda record: record["ua"])
    config = search.config(best["values"])
    write_config(output / BEST, config)
    return search.facts() | {
        "best": best["trial"],
        "trials": records,
        "model": config.model.name,
        "track": config.track,
        "dataset": feature_set.schema.name,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol),
        "versions": provenance.versions() | {"keras-tuner": keras_tuner.__version__},
        "commit": provenance.git_commit(),
    }


def check_data(config: TrainConfig, feature_set: FeatureSet, protocol: Protocol) -> None:
    """Refuses features that a recipe is not made for, and leaks.

    Raises:
        ConfigError: other features.
        LeakageError: the audit of protocol and data found a leak.
    """
    check_spec(config, feature_set)
    audit.enforce(audit.audit_rows(protocol, feature_set.rows))


def default_folds(protocol: Protocol, count: int) -> tuple[str, ...]:
    """Returns the names of the first folds, at most `count`, that can score trials and be tested.

    No validation speaker of one fold is a test speaker of another.
    """
    chosen: list[Fold] = []
    for fold in protocol.folds:
        disjoint = all(
            {*fold.valid}.isdisjoint(earlier.test) and {*earlier.valid}.isdisjoint(fold.test)
            for earlier in chosen
        )
        if fold.valid and disjoint and len(chosen) < count:
            chosen.append(fold)
    if not chosen:
        raise ConfigError(f"{protocol.name}: no fold has a validation part to be judged on.")
    return tuple(fold.name for fold in chosen)
