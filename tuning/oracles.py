"""keras-tuner's oracles, which choose trials, changed so that a kill loses and repeats none.

In keras-tuner 1.4.8, state is written in place, a trial that was begun just before a kill is
forgotten, and the next draw depends on what was drawn before the kill.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras_tuner
import numpy as np

from ser_keras.data.seeds import mixed_seed
from ser_keras.errors import ConfigError, unknown_name
from ser_keras.files import write_json

STRATEGIES = ("random", "bayesian", "hyperband")
OBJECTIVE = keras_tuner.Objective("valid_ua", "max")
# keras-tuner's own hyper-parameters, those of hyperband.
OWN = "tuner/"
RUNNING = "RUNNING"


class _ResumableOracle(keras_tuner.Oracle):
    """Writes by rename, and finds every unfinished trial again.

    Attributes:
        recorded: mapping of trial to its values, of those that have ended. An oracle whose files
            were lost draws them instead of new ones.
    """

    recorded: Mapping[str, Mapping[str, Any]] = MappingProxyType({})

    def _recorded(self, trial_id: str) -> dict[str, Any] | None:
        """Returns status and values of a trial that has ended, None for another."""
        if trial_id not in self.recorded:
            return None
        values = dict(self.recorded[trial_id])
        # So that no other trial draws the same.
        self._tried_so_far.add(self._compute_values_hash(values))
        return {"status": RUNNING, "values": values}

    def save(self) -> None:
        """Writes the state."""
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        folder = Path(self._get_trial_dir(trial.trial_id))
        write_json(folder / "trial.json", trial.get_state())

    def reload(self) -> None:
        """Reads state and trials; those that have no result are to be run again, lowest first."""
        super().reload()
        for trial in self.trials.values():
            self._record_values(trial)
        unfinished = [key for key, trial in self.trials.items() if trial.status == RUNNING]
        # The last one is taken first.
        self._retry_queue = sorted(unfinished, reverse=True)

    def _recipe(self) -> dict[str, Any]:
        """Returns the first trial: the recipe as it stands, so that the best is never below it."""
        values = dict(self.get_space().values)
        return {"status": RUNNING, "values": values}


class _Random(_ResumableOracle, keras_tuner.oracles.RandomSearchOracle):
    """Draws each trial's values from its own number."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns status and values of the next trial."""
        if known := self._recorded(trial_id):
            return known
        if int(trial_id) == 0:
            return self._recipe()
        self._seed_state = mixed_seed(self.seed, trial_id)
        drawn: dict[str, Any] = super().populate_space(trial_id)
        return drawn


class _Bayesian(_ResumableOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Draws each trial's candidates from its own number."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns status and values of the next trial."""
        if known := self._recorded(trial_id):
            return known
        if int(trial_id) == 0:
            return self._recipe()
        self._seed_state = mixed_seed(self.seed, trial_id)
        self._random_state = np.random.RandomState(self._seed_state)
        drawn: dict[str, Any] = super().populate_space(trial_id)
        return drawn


class _Hyperband(_ResumableOracle, keras_tuner.oracles.HyperbandOracle):
    """Trials with few epochs, of which the better ones continue for more."""


def build_oracle(
    strategy: str, space: keras_tuner.HyperParameters, trials: int, epochs: int, seed: int
) -> keras_tuner.Oracle:
    """Returns the chooser of trials.

    Args:
        strategy: str. One of `STRATEGIES`.
        space: what may be chosen.
        trials: int. How many; hyperband, which has its own number of them, ends after so many.
        epochs: int. The most that a trial of hyperband has.
        seed: int.

    Raises:
        ConfigError: unknown strategy, or no trial.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(unknown_name("strategy", strategy, STRATEGIES))
    if trials < 1:
        raise ConfigError(f"trials={trials}; expected 1 or more.")
    common = {
        "objective": OBJECTIVE,
        # keras-tuner takes 0 for no seed.
        "seed": seed + 1,
        "hyperparameters": space,
        "allow_new_entries": False,
    }
    if strategy == "hyperband":
        oracle = _Hyperband(max_epochs=epochs, **common)
        oracle.max_trials = trials
        return oracle
    return {"random": _Random, "bayesian": _Bayesian}[strategy](max_trials=trials, **common)
