"""Exports that stream, of every kind there is, behind `ser serve` in a process of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from ser_keras.data.segments import WHOLE
from ser_keras.features.specs import get_spec
from ser_keras.models import build_model
from serving.client.client import SerClient
from serving.export.signatures import Served
from tests.architecture import ROOT
from tests.serving import exports

INSIDE = {"window_frames": 19, "window_hop": 10, "front_layers": 2, "front_units": 8}
# Name: (features, their settings, the model's windows, temperature).
KINDS = {
    # The paper's recipe: the features are windows, and nothing is trimmed.
    "windows": ("mfcc40-windows-short", {}, {}, 1.0),
    "trimmed": ("mfcc40-windows-short", {"trim_db": 30}, {}, 2.0),
    # `predictive_vrnn-small`: frames with derivatives, of which the model makes windows.
    "frames": ("mfcc40-delta", {"trim_db": 35}, INSIDE, 2.0),
    # Much is cut off here, and more as soon as something is louder.
    "levels": ("mfcc40-delta", {"top_db": 30}, INSIDE, 1.0),
}


def streaming(kind: str, seed: int = 0) -> Served:
    """Returns a small predictive VRNN whose answers change from step to step."""
    name, settings, windows, temperature = KINDS[kind]
    spec = get_spec(name, **settings)
    keras.utils.set_random_seed(seed)
    model = build_model("predictive_vrnn", num_classes=4, dim=spec.dim, **exports.VRNN, **windows)
    model.get_layer("normalizer").set_affine(np.zeros(spec.dim), np.full(spec.dim, 0.05))
    classifier = model.get_layer("classifier")
    classifier.set_weights([8 * weight for weight in classifier.get_weights()])
    return Served(model, spec, exports.CLASSES, WHOLE, temperature)


class Serve:
    """`ser serve` of all models in a folder.

    Args:
        base: folder of their folders.
    """

    def __init__(self, base: Path):
        names = sorted(folder.name for folder in base.iterdir() if folder.is_dir())
        entries = [
            f'config {{ name: "{name}" base_path: "{base / name}" model_platform: "tensorflow" }}'
            for name in names
        ]
        config = base / "models.config"
        config.write_text(f"model_config_list {{ {' '.join(entries)} }}", encoding="utf-8")
        with socket.socket() as first, socket.socket() as second:
            first.bind(("localhost", 0))
            second.bind(("localhost", 0))
            self.port, rest_port = first.getsockname()[1], second.getsockname()[1]
        command = [sys.executable, "-m", "ser_keras", "serve", "--model_config_file", config]
        command += ["--port", self.port, "--rest_api_port", rest_port]
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, cwd=ROOT)
        try:
            for name in names:
                with self.client(name) as client:
                    client.wait_until_available(120)
        except BaseException:
            self.stop()
            raise

    def client(self, name: str) -> SerClient:
        return SerClient(f"localhost:{self.port}", name)

    def memory_mb(self) -> float:
        """Returns what the server has in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def rising(seconds: float, seed: int = 0, octaves: float = 9.0) -> np.ndarray:
    """Returns speech-like sound with pauses that gets louder and louder, 16-bit values."""
    samples = round(seconds * exports.RATE)
    clip = np.concatenate(exports.clips(20, seed=seed))
    waveform = np.resize(clip, samples) * np.logspace(-octaves / 3.3, 0, samples)
    return (np.round(32768 * waveform) / 32768).astype(np.float32)


def pcm(waveform: np.ndarray) -> bytes:
    """Returns 16-bit samples as `ser predict -` reads them."""
    return np.round(32768 * waveform).astype("<i2").tobytes()
