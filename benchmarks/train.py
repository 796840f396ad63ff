"""Measures a training step of each variant of the attention FCN, and what feeding it costs.

    python benchmarks/train.py --output results/train_benchmark.json

All variants take turns, round after round, so that a machine whose speed drifts slows all of them;
quote the ratios. The input row is the time to make a batch (parse, augment, bucket, pad) against
the time to train on it: below 1, the model never waits.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.progress import track

from pipeline.feature_job import build_feature_set
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.data.input import Part, TrainingBatches
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from ser_keras.training.checkpoint import write_json
from ser_keras.training.config import AugmentConfig, OptimizerConfig
from ser_keras.training.optimizer import make_optimizer
from ser_keras.training.provenance import versions

VARIANTS = {
    "lrn float32": ({"normalization": "lrn"}, "float32"),
    "lrn bfloat16": ({"normalization": "lrn"}, "mixed_bfloat16"),
    "batch float32": ({"normalization": "batch"}, "float32"),
    "batch bfloat16": ({"normalization": "batch"}, "mixed_bfloat16"),
    "none bfloat16": ({"normalization": "none"}, "mixed_bfloat16"),
    "torchvision float32": ({"plan": "torchvision", "normalization": "none"}, "float32"),
}


def make_step(options, precision, batch, frames):
    """Returns a function that trains on one fixed batch."""
    keras.mixed_precision.set_global_policy(precision)
    model = build_model("alexnet_fcn", num_classes=8, dim=200, **options)
    model.compile(
        optimizer=make_optimizer(OptimizerConfig(), steps_per_epoch=10, epochs=10),
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


def time_steps(batch, frames, rounds):
    """Returns the median seconds per step of every variant."""
    steps = {name: make_step(*variant, batch, frames) for name, variant in VARIANTS.items()}
    for step in track(steps.values(), "compiling"):
        step()
        step()
    seconds = {name: [] for name in steps}
    for _ in track(range(rounds), "timing steps"):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def time_input(batch):
    """Returns the seconds to make one augmented batch of the synthetic corpus."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(Path(folder) / "corpus", seed=0)
        output = Path(folder) / "features"
        build_feature_set("synthetic", corpus, get_spec("spectrogram200"), output)
        features = FeatureSet.open(output)
        part = Part(features, {row.key: 0 for row in features.rows})
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


def main():
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    steps = time_steps(args.batch, args.frames, args.rounds)
    feeding = time_input(args.batch)
    slowest = max(steps.values())
    print(f"{'variant':22} s/step  utterances/s  against slowest")
    for name, seconds in steps.items():
        print(f"{name:22} {seconds:6.3f} {args.batch / seconds:13.1f} {slowest / seconds:11.2f}x")
    print(
        f"{'input':22} {feeding:6.3f}  = {feeding / min(steps.values()):.2f} of the quickest step"
    )
    if args.output:
        write_json(
            args.output,
            {
                "batch": args.batch,
                "frames": args.frames,
                "seconds_per_step": steps,
                "seconds_per_input_batch": feeding,
                "machine": {"cores": os.cpu_count(), "processor": platform.processor()},
                "versions": versions(),
            },
        )


if __name__ == "__main__":
    main()
