"""The baseline of every result: support vector machines on one vector of each utterance.

On openSMILE's functionals this is what the field has compared itself with since 2009 (Schuller,
Steidl and Batliner 2009, Interspeech, 312-315). A network that does not beat it has learnt nothing
that needs a network.
"""

from ser_keras.experiments.baseline.run import TRACKS, run_baselines
from ser_keras.experiments.baseline.svm import KERNELS

__all__ = ["KERNELS", "TRACKS", "run_baselines"]
