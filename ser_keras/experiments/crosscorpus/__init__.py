"""One model per corpus, tested on every other corpus."""

from ser_keras.experiments.crosscorpus.run import run_crosscorpus

__all__ = ["run_crosscorpus"]
