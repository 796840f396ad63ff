"""A SavedModel that doubles numbers, built in a tenth of a second."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.export.trust.hashes import write_hashes
from serving.export.warmup import write_warmup

INPUTS = {"x": np.float32([1.5])}
ROW = tf.TensorSpec([None], tf.float32, name="x")


class Double(tf.Module):
    """Doubles its input."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[ROW])
    def run(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self.factor * x}


def write_double(folder: Path, double: tf.Module | None = None) -> Path:
    """Writes a version as `ser export` does; returns its folder.

    Args:
        folder: of the version.
        double: a module like `Double`, which does something else as well.
    """
    double = double or Double()
    tf.saved_model.save(double, str(folder), signatures={"serving_default": double.run})
    write_warmup(folder, "double", {"serving_default": [INPUTS]})
    write_hashes(folder)
    return folder
