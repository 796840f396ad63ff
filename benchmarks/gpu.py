"""Trains each system on whatever accelerator Keras finds, on either backend, from .npz features.

    python benchmarks/gpu.py --pack features/ravdess-logmel23 --output moma.npz
    KERAS_BACKEND=jax python benchmarks/gpu.py --features moma.npz --system moma --output gpu.json

The second command needs neither TensorFlow nor the corpus: packed features are one array per file.
Without --features it makes noise of the shape that the system's paper works on. It reports the time
of a step, utterances per second and the peak of the device's memory.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from ser_keras.models import build_model, objective_of
from ser_keras.training.step import TrainingModel

# (batch, frames, values per frame) of each paper.
SHAPES = {
    "moma": (32, 400, 23),
    "predictive_vrnn": (256, 3, 40),
    "attention_cnn": (64, 197, 400),
    "alexnet_fcn": (16, 400, 200),
    "sparse_autoencoder": (32, 400, 120),
    "alexnet_fixed": (16, 300, 200),
    "vgg16_fixed": (16, 300, 200),
}


def pack(features, output):
    """Writes a feature set as one .npz: features padded to the longest, lengths, labels."""
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.data.part import FoldPart

    feature_set = FeatureSet.open(features)
    labels = sorted(feature_set.schema.labels)
    part = FoldPart(feature_set, {row.key: labels.index(row.label) for row in feature_set.rows})
    rows = list(part.utterances.as_numpy_iterator())
    lengths = np.array([len(row["features"]) for row in rows])
    packed = np.zeros((len(rows), lengths.max(), feature_set.schema.dim), np.float32)
    for target, row in zip(packed, rows, strict=True):
        target[: len(row["features"])] = row["features"]
    classes = np.array([row["class"] for row in rows])
    np.savez(output, features=packed, lengths=lengths, classes=classes, labels=labels)
    print(f"{output}: {packed.shape}, {len(labels)} labels")


def batches_of(path, shape, seed=0):
    """Yields (inputs, one-hot targets, weights) without end, from a packed file or of noise."""
    rng = np.random.default_rng(seed)
    batch, frames, dim = shape
    if path is None:
        features = rng.normal(size=(4 * batch, frames, dim)).astype(np.float32)
        lengths, classes = np.full(len(features), frames), rng.integers(0, 8, len(features))
    else:
        with np.load(path) as stored:
            features, lengths, classes = (stored[n] for n in ("features", "lengths", "classes"))
    number = int(classes.max()) + 1
    while True:
        rows = rng.choice(len(features), batch, replace=len(features) < batch)
        mask = np.arange(features.shape[1])[None] < lengths[rows, None]
        inputs = {"features": features[rows], "mask": mask}
        yield inputs, np.eye(number, dtype=np.float32)[classes[rows]], np.ones(batch, np.float32)


def measure(system, path, precision, rounds, batch=None, jit=True):
    """Returns seconds per step, utterances per second and the peak of the device's memory."""
    keras.mixed_precision.set_global_policy(precision)
    keras.utils.set_random_seed(0)
    shape = (batch or SHAPES[system][0], *SHAPES[system][1:])
    batches = batches_of(path, shape)
    inputs, targets, _ = example = next(batches)
    model = build_model(system, num_classes=targets.shape[1], dim=inputs["features"].shape[2])
    training = TrainingModel(model, objective_of(system))
    training.compile(keras.optimizers.Adam(1e-4), jit_compile=jit)
    for _ in range(2):
        training.train_on_batch(*example)
    seconds = []
    for _ in range(rounds):
        inputs, targets, weights = next(batches)
        started = time.perf_counter()
        training.train_on_batch(inputs, targets, sample_weight=weights)
        seconds.append(time.perf_counter() - started)
    step = float(np.median(seconds))
    return {
        "system": system,
        "precision": precision,
        "shape": list(inputs["features"].shape),
        "parameters": model.count_params(),
        "step_s": step,
        "utterances_per_s": len(targets) / step,
        "peak_memory_mb": peak_memory_mb(),
    }


def peak_memory_mb():
    """Returns the peak memory of the first accelerator, None where it is not recorded."""
    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.devices()[0].memory_stats()
        return statistics["peak_bytes_in_use"] / 2**20 if statistics else None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            return None
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    return None


def device():
    """Returns the name of the accelerator that Keras trains on."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    return ", ".join(keras.distribution.list_devices())


def main():
    """Packs features, or runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, help="feature set to write as --output")
    parser.add_argument("--features", type=Path, help="packed features; noise when left out")
    parser.add_argument("--system", choices=[*SHAPES], action="append")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--no-jit", action="store_true", help="without XLA, as CPUs like it")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if args.pack:
        pack(args.pack, args.output)
        return
    rows = []
    for system in args.system or SHAPES:
        row = measure(
            system, args.features, args.precision, args.rounds, args.batch, not args.no_jit
        )
        rows.append(row)
        memory = row["peak_memory_mb"]
        print(
            f"{system:20} {row['step_s'] * 1e3:9.1f} ms/step {row['utterances_per_s']:9.1f} "
            f"utterances/s  {'' if memory is None else f'{memory:.0f} MB'}",
            flush=True,
        )
    if args.output:
        result = {"backend": keras.backend.backend(), "device": device(), "systems": rows}
        args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
