"""Ensembles: the mean of the class probabilities of finished runs, by `ser ensemble`."""

from ser_keras.experiments.ensemble.calibration import calibrate_ensemble
from ser_keras.experiments.ensemble.members import is_ensemble
from ser_keras.experiments.ensemble.run import run_ensemble
from ser_keras.experiments.ensemble.stored import evaluate_ensemble

__all__ = ["calibrate_ensemble", "evaluate_ensemble", "is_ensemble", "run_ensemble"]
