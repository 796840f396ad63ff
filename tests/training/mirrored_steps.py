"""Steps of every system on one device and on two, in a process with two logical processors.

Writes how far their weights and logs are apart after some steps, by system, as JSON into the file
that is its argument.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ser_keras.models import build_model, objective_of
from ser_keras.training.checkpoint import arrays_of, assign
from ser_keras.training.replicas import replicated, training_step
from ser_keras.training.step import TrainingModel

# Everything that looks beyond its own row or draws numbers: batch normalisation, dropout, noise.
SYSTEMS = {
    "alexnet_fcn": {
        "width": 0.0625,
        "normalization": "batch",
        "input_channels": 1,
        "input_scaling": "standard",
        "spatial_dropout": 0.1,
        "dropout": 0.5,
    },
    "attention_cnn": {"width": 0.125, "input_scaling": "standard", "dropout": 0.3},
    "moma": {"units": 4, "layers": 1, "attention_units": 4, "input_dropout": 0.1, "dropout": 0.5},
    "predictive_vrnn": {
        "window_frames": 11,
        "window_hop": 6,
        "front_layers": 1,
        "front_units": 4,
        "recognition_units": 4,
        "generation_units": 4,
        "classification_units": 4,
        "latent_dim": 2,
    },
    "sparse_autoencoder": {"encoder_units": 80, "recurrent_units": 4, "noise": 0.3, "dropout": 0.5},
}
# A whole batch, an incomplete one of an odd number, and one with less rows than devices.
BATCHES = (6, 5, 1)
DIM, CLASSES = 72, 3


def batch(rows, rng):
    """A batch of utterances of different lengths, weights and, in part, without a label."""
    lengths = rng.integers(20, 60, rows)
    mask = np.arange(lengths.max()) < lengths[:, None]
    features = rng.normal(size=(*mask.shape, DIM)) * mask[..., None]
    targets = np.eye(CLASSES)[rng.integers(0, CLASSES, rows)]
    targets[1::3] = 0.0
    tensors = (features.astype("float32"), mask, targets, rng.uniform(0.5, 2.0, rows))
    features, mask, targets, weights = map(tf.constant, tensors)
    return (
        {"features": features, "mask": mask},
        tf.cast(targets, tf.float32),
        tf.cast(weights, tf.float32),
    )


def trained(model, strategy, name):
    """Returns (weights, logs of each step) after some steps with a clipped gradient."""
    copy = replicated(model, strategy)
    with strategy.scope() if strategy else tf.name_scope(""):
        training = TrainingModel(copy, objective_of(name))
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0)
        training.compile(optimizer, jit_compile=False)
        optimizer.build(copy.trainable_variables)
    step = training_step(training, strategy)
    rng = np.random.default_rng(0)
    logs = [step(*batch(rows, rng)) for rows in BATCHES]
    # Not the states of the seeds, which count.
    weights = arrays_of(copy.weights)
    return weights, [
        np.array([float(step_logs[name]) for name in sorted(step_logs)]) for step_logs in logs
    ]


def largest(some, others):
    """Returns the largest difference between two lists of arrays, relative above 1."""
    return max(
        float((np.abs(a - b) / np.maximum(np.abs(a), 1.0)).max())
        for a, b in zip(some, others, strict=True)
    )


def main(file):
    """Compares every system."""
    (processor,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, devices)
    tf.config.experimental.enable_op_determinism()
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    differences_of = {}
    for name, options in SYSTEMS.items():
        keras.utils.set_random_seed(1)
        model = build_model(name, num_classes=CLASSES, dim=DIM, **options)
        start, weights = arrays_of(model.variables), arrays_of(model.weights)
        two, logs_two = trained(model, strategy, name)
        assign(model.variables, start, name)
        one, logs_one = trained(model, None, name)
        differences_of[name] = {
            "weights": largest(one, two),
            "moved": largest(one, weights),
            "logs": largest(logs_one, logs_two),
        }
    Path(file).write_text(json.dumps(differences_of))


if __name__ == "__main__":
    main(*sys.argv[1:])
