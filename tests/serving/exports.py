"""Exports of small models with random weights, built in seconds."""

import os
import subprocess
from pathlib import Path

import keras
import numpy as np

from ser_keras.data.segments import WHOLE, Segments
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from serving.export.export import write_export
from serving.export.layout import new_version
from serving.export.signatures import Served
from serving.export.trust.hashes import write_hashes

CLASSES = ("angry", "happy", "neutral", "sad")
VRNN = {"recognition_units": 8, "generation_units": 6, "classification_units": 8, "latent_dim": 3}
SYSTEMS = {
    "moma": ("logmel23", {"units": 8, "attention_units": 4}, WHOLE),
    "predictive_vrnn": ("mfcc40-windows-short", VRNN, WHOLE),
    "attention_cnn": ("spectrogram400", {"pool_after": (1, 2, 3, 4)}, Segments(60, 60)),
    "alexnet_fcn": (
        "spectrogram200",
        {"width": 0.0625, "input_channels": 1, "input_scaling": "standard"},
        WHOLE,
    ),
    "sparse_autoencoder": ("logmel40-deltas", {"encoder_units": 160, "recurrent_units": 8}, WHOLE),
}
RATE = 16000


def small(name: str, seed: int = 0) -> Served:
    """Returns a small model of a system, as it is exported."""
    spec_name, options, segments = SYSTEMS[name]
    spec = get_spec(spec_name, trim_db=40)
    keras.utils.set_random_seed(seed)
    model = build_model(name, num_classes=len(CLASSES), dim=spec.dim, **options)
    return Served(model, spec, CLASSES, segments)


def publish(served: Served, folder: Path, version: int | None = None) -> Path:
    """Publishes a version without the checks against a corpus; returns its folder."""
    with new_version(folder, version) as (staged, final):
        write_export(served, staged, folder.name)
        write_hashes(staged)
    return final


def voice(time_s: np.ndarray, f0_hz: float) -> np.ndarray:
    """Returns a voice whose pitch moves by 30 % around a mean, twice a second."""
    cycles = f0_hz * (time_s + 0.3 * (1 - np.cos(4 * np.pi * time_s)) / (4 * np.pi))
    return sum(np.sin(2 * np.pi * number * cycles) / number for number in range(1, 6))


def clips(count: int, seed: int = 0, least: int = 300, most: int = 40000) -> list[np.ndarray]:
    """Returns waveforms of several lengths: a gliding voice and tones in noise, swelling once."""
    rng = np.random.default_rng(seed)
    waveforms = []
    for samples in rng.integers(least, most, count):
        time = np.arange(samples) / RATE
        tones = sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(80, 5000, 4))
        tones += 2 * voice(time, rng.uniform(90, 250))
        envelope = np.sin(np.pi * np.linspace(0, 1, samples)) ** 2
        waveforms.append(
            (0.1 * tones * envelope + 1e-3 * rng.normal(size=samples)).astype(np.float32)
        )
    return waveforms


def completed(*command, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, whatever it returns."""
    return subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        timeout=120,
    )


def batch(waveforms: list[np.ndarray], fill: float = 0.0) -> dict[str, np.ndarray]:
    """Returns the inputs of `serving_default`."""
    most = max(map(len, waveforms))
    rows = [np.pad(w, (0, most - len(w)), constant_values=fill) for w in waveforms]
    length = np.array([len(w) for w in waveforms], np.int32)
    return {"waveform": np.stack(rows), "length": length}
