"""Measures a training step of each variant of the attention FCN, and what feeding it costs.

With `--recurrent` the bidirectional LSTMs instead, ours against Keras's, added to the same file.

    python benchmarks/train.py --output results/benchmarks/train.json
    python benchmarks/train.py --recurrent --output results/benchmarks/train.json

All variants take turns, round after round, so that a machine whose speed drifts slows all of them;
quote the ratios. The input row is the time to make a batch (parse, augment, bucket, pad) against
the time to train on it: below 1, the model never waits.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.progress import track

from pipeline.features.job import build_feature_set
from ser_keras.config import AugmentConfig, OptimizerConfig
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.batches import TrainingBatches
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.part import FoldPart
from ser_keras.experiments.provenance import versions
from ser_keras.features.specs import get_spec
from ser_keras.files import write_json
from ser_keras.layers import projected_lstm
from ser_keras.layers.projected_lstm import BidirectionalLSTM
from ser_keras.models import build_model
from ser_keras.training.optimizer import make_optimizer

VARIANTS = {
    "lrn float32": ({"normalization": "lrn"}, "float32"),
    "lrn bfloat16": ({"normalization": "lrn"}, "mixed_bfloat16"),
    "batch float32": ({"normalization": "batch"}, "float32"),
    "batch bfloat16": ({"normalization": "batch"}, "mixed_bfloat16"),
    "none bfloat16": ({"normalization": "none"}, "mixed_bfloat16"),
    "torchvision float32": ({"plan": "torchvision", "normalization": "none"}, "float32"),
}

# What runs the loop over time; None is the layer of Keras.
RECURRENT = {
    "keras": None,
    "projected": lambda *args: projected_lstm.states(*args)[0],
    "projected, weight gradient outside": projected_lstm.recurrence,
}
OPTIMIZER = OptimizerConfig(
    name="adamw", weight_decay=1e-2, schedule="cosine", warmup_epochs=2, clip_norm=1.0
)
LSTM_UNITS, LSTM_LAYERS, LSTM_DIM = 512, 2, 23


def make_step(options, precision, batch, frames):
    """Returns a function that trains on one fixed batch."""
    keras.mixed_precision.set_global_policy(precision)
    model = build_model("alexnet_fcn", num_classes=8, dim=200, **options)
    model.compile(
        optimizer=make_optimizer(OPTIMIZER, steps_per_epoch=10, epochs=10),
        loss={"logits": keras.losses.CategoricalCrossentropy(from_logits=True)},
        jit_compile=False,
    )
    rng = np.random.default_rng(0)
    inputs = {
        "features": rng.normal(size=(batch, frames, 200)).astype(np.float32),
        "mask": np.ones((batch, frames), bool),
    }
    targets = {"logits": np.eye(8, dtype=np.float32)[rng.integers(0, 8, batch)]}
    return lambda: model.train_on_batch(inputs, targets)


def make_recurrent_step(loop, batch, frames):
    """Returns a function that trains stacked bidirectional LSTMs on one fixed batch."""
    inputs = keras.Input((None, LSTM_DIM)), keras.Input((None,), dtype="bool")
    x, mask = inputs
    for _ in range(LSTM_LAYERS):
        if loop is None:
            lstm = keras.layers.LSTM(LSTM_UNITS, return_sequences=True)
            x = keras.layers.Bidirectional(lstm)(x, mask=mask)
        else:
            x = BidirectionalLSTM(LSTM_UNITS)(x, mask=mask)
    model = keras.Model(inputs, keras.layers.Dense(4)(x[:, -1]))
    model.compile("sgd", loss="mse", jit_compile=False)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(batch, frames, LSTM_DIM)).astype(np.float32)
    data = [features, np.ones((batch, frames), bool)], np.zeros((batch, 4), np.float32)
    with mock.patch.object(projected_lstm, "recurrence", loop):
        model.train_on_batch(*data)
    return lambda: model.train_on_batch(*data)


def time_steps(steps, rounds):
    """Returns the median seconds per step, of the clock and of the processor, by name."""
    for step in track(steps.values(), "compiling"):
        step()
        step()
    clocks = {"seconds_per_step": time.perf_counter, "cpu_seconds_per_step": time.process_time}
    seconds = {key: {name: [] for name in steps} for key in clocks}
    for _ in track(range(rounds), "timing steps"):
        for name, step in steps.items():
            started = {key: clock() for key, clock in clocks.items()}
            step()
            for key, clock in clocks.items():
                seconds[key][name].append(clock() - started[key])
    return {
        key: {name: float(np.median(values)) for name, values in rows.items()}
        for key, rows in seconds.items()
    }


def time_input(batch):
    """Returns the seconds to make one augmented batch of the synthetic corpus."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(Path(folder) / "corpus", seed=0)
        output = Path(folder) / "features"
        build_feature_set("synthetic", corpus, get_spec("spectrogram200"), output)
        features = FeatureSet.open(output)
        part = FoldPart(features, {row.key: 0 for row in features.rows})
        augment = AugmentConfig(
            freq_masks=2,
            freq_mask_bins=30,
            time_masks=2,
            time_mask_frames=30,
            stretch=0.1,
            noise=0.1,
        )
        batches = TrainingBatches(
            part, 1, batch, 40, np.ones(1), augment, np.zeros(200), np.ones(200), 0
        )
        list(batches.epoch(0))
        started = time.perf_counter()
        count = sum(1 for epoch in range(1, 4) for _ in batches.epoch(epoch))
        return (time.perf_counter() - started) / count


def measure_fcn(args):
    """Prints and returns the rows of the attention FCN."""
    steps = {
        name: make_step(*variant, args.batch, args.frames) for name, variant in VARIANTS.items()
    }
    seconds = time_steps(steps, args.rounds)["seconds_per_step"]
    feeding = time_input(args.batch)
    slowest = max(seconds.values())
    print(f"{'variant':22} s/step  utterances/s  against slowest")
    for name, value in seconds.items():
        print(f"{name:22} {value:6.3f} {args.batch / value:13.1f} {slowest / value:11.2f}x")
    print(
        f"{'input':22} {feeding:6.3f}  = {feeding / min(seconds.values()):.2f} of the quickest step"
    )
    return {"seconds_per_step": seconds, "seconds_per_input_batch": feeding}


def measure_recurrent(args):
    """Prints and returns the rows of the recurrent layers."""
    steps = {
        name: make_recurrent_step(loop, args.batch, args.frames) for name, loop in RECURRENT.items()
    }
    measured = time_steps(steps, args.rounds)
    measured["against_keras"] = {
        key: {name: value / rows["keras"] for name, value in rows.items()}
        for key, rows in measured.items()
    }
    print(f"{'variant':36} s/step  against keras   CPU s/step  against keras")
    for name in RECURRENT:
        wall, cpu = (measured[key][name] for key in ("seconds_per_step", "cpu_seconds_per_step"))
        ratios = [measured["against_keras"][key][name] for key in measured["against_keras"]]
        print(f"{name:36} {wall:6.3f} {ratios[0]:14.2f} {cpu:12.3f} {ratios[1]:14.2f}")
    return {"units": LSTM_UNITS, "layers": LSTM_LAYERS, "dim": LSTM_DIM, **measured}


def main():
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--recurrent", action="store_true")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    args.batch = args.batch or (32 if args.recurrent else 16)
    report = {
        "batch": args.batch,
        "frames": args.frames,
        **(measure_recurrent(args) if args.recurrent else measure_fcn(args)),
        "machine": {"cores": os.cpu_count(), "processor": platform.processor()},
        "versions": versions(),
    }
    if args.output:
        before = json.loads(args.output.read_text()) if args.output.exists() else {}
        if args.recurrent:
            report = {**before, "recurrent": report}
        elif "recurrent" in before:
            report["recurrent"] = before["recurrent"]
        write_json(args.output, report)


if __name__ == "__main__":
    main()
