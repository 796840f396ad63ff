"""One process of a training, as the tests of `ser_keras.training.distribute` start it.

Arguments: strategy, number of logical processors, folder of features, recipe, folder of the run,
and the file that this process writes its model's weights to.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ser_keras.config import load_config
from ser_keras.data.feature_set import FeatureSet
from ser_keras.protocols import build_protocol
from ser_keras.training.distribute import joined
from ser_keras.training.trainer import FoldTrainer


def main(strategy, devices, features, recipe, output, weights):
    """Trains the first fold and writes the weights that this process ends with."""
    (processor,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * int(devices)
    tf.config.set_logical_device_configuration(processor, devices)
    feature_set = FeatureSet.open(Path(features))
    protocol = build_protocol("synthetic-loso", feature_set.rows)
    with joined(strategy, Path(output)) as (workers, folder):
        trainer = FoldTrainer(
            load_config(recipe),
            feature_set,
            protocol.class_set,
            protocol.folds[0],
            folder,
            workers=workers,
        )
        trainer.run()
        model = keras.models.load_model(folder / "model.keras")
        np.savez(weights, *model.get_weights())


if __name__ == "__main__":
    main(*sys.argv[1:])
