"""Searches: which trials are run, one after the other, and which of them is the best."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine import base_tuner

from ser_keras import audit
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.input import mixed_seed
from ser_keras.errors import ConfigError, SchemaError, SerError, unknown_name
from ser_keras.protocols import Protocol
from ser_keras.training import provenance
from ser_keras.training.checkpoint import write_json
from ser_keras.training.config import load_config
from ser_keras.training.crossval import (
    FoldProgress,
    check_spec,
    choose_folds,
    class_set_dict,
    protocol_facts,
    write_config,
)
from tuning.space import Space
from tuning.trial import COMPLETED, finished_records, run_trial, trial_config

STRATEGIES = ("random", "bayesian", "hyperband")
OBJECTIVE = keras_tuner.Objective("valid_ua", "max")
# keras-tuner's own hyper-parameters, those of hyperband.
OWN = "tuner/"


class RepeatableBayesian(keras_tuner.oracles.BayesianOptimizationOracle):
    """Draws each trial's candidates from its own number, so that a kill changes none of them."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns status and values of the next trial."""
        self._random_state = np.random.RandomState(mixed_seed(self.seed, trial_id))
        found: dict[str, Any] = super().populate_space(trial_id)
        return found


@dataclass(frozen=True)
class Search:
    """What is searched, where, and how long.

    Args:
        space: recipe and settings.
        strategy: str. One of `STRATEGIES`.
        trials: int. How many; hyperband, which has its own number of them, ends after so many.
        folds: tuple of str. Folds of the protocol whose validation speakers judge.
        changes: tuple of `key=value`, of all trials.
        seed: int. Of the choice of trials.
    """

    space: Space
    strategy: str
    trials: int
    folds: tuple[str, ...]
    changes: tuple[str, ...] = ()
    seed: int = 0

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
        }

    def oracle(self, epochs: int) -> keras_tuner.Oracle:
        """Returns keras-tuner's chooser of trials.

        Raises:
            ConfigError: unknown strategy, or no trial.
        """
        if self.strategy not in STRATEGIES:
            raise ConfigError(unknown_name("strategy", self.strategy, STRATEGIES))
        if self.trials < 1:
            raise ConfigError(f"trials={self.trials}; expected 1 or more.")
        common = {
            "objective": OBJECTIVE,
            # keras-tuner takes 0 for no seed.
            "seed": self.seed + 1,
            "hyperparameters": self.space.hyper_parameters(),
            "allow_new_entries": False,
        }
        if self.strategy == "hyperband":
            oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=epochs, **common)
            oracle.max_trials = self.trials
            return oracle
        kinds = {
            "random": keras_tuner.oracles.RandomSearchOracle,
            "bayesian": RepeatableBayesian,
        }
        return kinds[self.strategy](max_trials=self.trials, **common)


class FoldTuner(base_tuner.BaseTuner):
    """Runs keras-tuner's trials as `run_trial` does.

    Args:
        search: what is searched.
        feature_set: features of the corpus.
        protocol: the folds.
        output: Path. Of the search; keras-tuner's files are in `oracle`, ours in `trials`.
        progress: called as (trial and fold, epoch, epochs, logs).
    """

    def __init__(
        self,
        search: Search,
        feature_set: FeatureSet,
        protocol: Protocol,
        output: Path,
        progress: FoldProgress | None = None,
    ):
        self.asked, self.feature_set, self.protocol = search, feature_set, protocol
        self.output, self.progress = output, progress
        self.epochs = load_config(search.space.recipe, search.changes).epochs
        self.folds = choose_folds(protocol, search.folds)
        super().__init__(search.oracle(self.epochs), directory=output, project_name="oracle")

    def run_trial(self, trial: Any, verbose: int = 0) -> dict[str, float]:
        """Returns the objective of keras-tuner's trial."""
        chosen = trial.hyperparameters.values
        values = {key: value for key, value in chosen.items() if not key.startswith(OWN)}
        try:
            record = run_trial(
                trial_config(
                    self.asked.space.recipe, values, self.asked.changes, chosen.get("tuner/epochs")
                ),
                values,
                self.feature_set,
                self.protocol,
                self.folds,
                self.output / "trials" / trial.trial_id,
                self.progress,
            )
        except SerError as error:
            # A leak or a recipe that cannot be built is no bad trial: it ends the search.
            raise keras_tuner.errors.FatalError(str(error)) from error
        return {OBJECTIVE.name: record["ua"]}


def run_search(
    search: Search,
    feature_set: FeatureSet,
    protocol: Protocol,
    output: Path,
    *,
    command: str = "",
    progress: FoldProgress | None = None,
) -> dict[str, Any]:
    """Runs a search (or goes on with it) and returns what it found, also in `search.json`.

    The best trial's configuration is in `best.yaml`, for `ser train` and `ser crossval`.

    Raises:
        LeakageError: the audit of protocol and data found a leak.
        ConfigError: an unknown fold, strategy or key, or features that the recipe is not made for.
        SchemaError: `output` holds another search.
    """
    check_spec(load_config(search.space.recipe, search.changes), feature_set)
    findings = [
        *audit.audit_audio(feature_set.rows),
        *audit.audit_protocol(protocol, feature_set.rows),
    ]
    audit.enforce(findings)
    _claim(search, protocol, output)
    tuner = FoldTuner(search, feature_set, protocol, output, progress)
    try:
        tuner.search(verbose=0)
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ or error from None
    result = summarize_search(search, feature_set, protocol, output) | {"command": command}
    write_json(output / "search.json", result)
    return result


def summarize_search(
    search: Search, feature_set: FeatureSet, protocol: Protocol, output: Path
) -> dict[str, Any]:
    """Returns all trials, the best of those trained on every fold, and what they were run on."""
    records = finished_records(output / "trials")
    whole = [record for record in records if record["status"] == COMPLETED]
    best = max(whole, key=lambda record: record["ua"])
    config = load_config(output / "trials" / best["trial"] / "config.yaml")
    write_config(output / "best.yaml", config)
    return search.facts() | {
        "best": best["trial"],
        "trials": records,
        "model": config.model.name,
        "dataset": feature_set.schema.name,
        "class_set": class_set_dict(protocol.class_set),
        "protocol": protocol_facts(protocol),
        "versions": provenance.versions() | {"keras-tuner": keras_tuner.__version__},
        "commit": provenance.git_commit(),
    }


def _claim(search: Search, protocol: Protocol, output: Path) -> None:
    """Writes what is searched, and refuses a folder of another search."""
    facts = search.facts() | {"protocol": protocol.sha256}
    path = output / "asked.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        other = sorted(key for key in facts if before.get(key) != facts[key])
        if other:
            raise SchemaError(
                f"{output}: holds a search with another {', '.join(other)}. Choose another "
                "--output, or remove it."
            )
    write_json(path, facts)


def default_folds(protocol: Protocol, count: int) -> tuple[str, ...]:
    """Returns the names of the first `count` folds that have validation speakers."""
    names = [fold.name for fold in protocol.folds if fold.valid]
    if not names:
        raise ConfigError(f"{protocol.name}: no fold has a validation part to be judged on.")
    return tuple(names[:count])
