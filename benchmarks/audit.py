"""Measures the search for near copies as a corpus grows: CPU seconds and memory.

    python benchmarks/audit.py --data-dir DATA/ravdess --output results/benchmarks/audit.json

Takes the fingerprints of the corpus, draws as many as wanted with their means and covariances, and
replaces a tenth by copies with noise of 1 dB. Each size is searched in a process of its own, on one
thread. Memory is the peak of resident memory, Python and the fingerprints included.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Read by BLAS when NumPy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ser_keras.audit import rows_of
from ser_keras.audit.near_copies import near_groups
from ser_keras.corpora import read_corpus

SIZES = (1440, 14_400, 100_000)
COPIED = 10
NOISE_DB = 1.0
STEPS_PER_DB = 4


def peak_bytes():
    """Returns the most resident memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def draw(values, count, seed=0):
    """Returns fingerprints like those of a corpus, of which every tenth is a copy of the first.

    Args:
        values: uint8 (n, 32, 4). Fingerprints of the corpus.
        count: int.
        seed: int.
    """
    rng = np.random.default_rng(seed)
    flat = values.reshape(len(values), -1).astype(np.float32)
    root = np.linalg.cholesky(np.cov(flat.T) + 1e-3 * np.eye(flat.shape[1])).astype(np.float32)
    drawn = flat.mean(axis=0) + rng.standard_normal((count, len(root)), np.float32) @ root.T
    copies = count // COPIED
    noise = NOISE_DB * STEPS_PER_DB * rng.standard_normal((copies, len(root)), np.float32)
    drawn[-copies:] = drawn[:copies] + noise
    return np.round(np.clip(drawn, 0, 255)).astype(np.uint8).reshape(-1, *values.shape[1:])


def search(path):
    """Searches in this process; returns what it took."""
    values = np.load(path)
    began_s = time.process_time()
    group_of = near_groups(values)
    cpu_s = time.process_time() - began_s
    count = len(values)
    return {
        "recordings": count,
        "copies": count // COPIED,
        "copies_found": int(np.count_nonzero(group_of != np.arange(count))),
        "cpu_s": cpu_s,
        "peak_bytes": peak_bytes(),
    }


def measure(values):
    """Returns the measurements of `search` in a fresh process."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, values)
        file.flush()
        command = [sys.executable, str(Path(__file__).resolve()), "--search", file.name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def show(runs):
    """Prints the runs."""
    table = Table("recordings", "copies", "found", "CPU s", "MB")
    for run in runs:
        counts = (str(run[name]) for name in ("recordings", "copies", "copies_found"))
        table.add_row(*counts, f"{run['cpu_s']:.2f}", f"{run['peak_bytes'] / 1e6:.0f}")
    Console().print(table)


def main():
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="ravdess")
    parser.add_argument("--data-dir", type=Path, help="folder of the corpus")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        print(json.dumps(search(options.search)))
        return
    if options.data_dir is None:
        parser.error("--data-dir: found none, expected the folder of the corpus")
    # Here, because it imports Keras, of which the measured processes know nothing.
    from ser_keras.experiments.provenance import versions
    from ser_keras.files import write_json

    utterances = read_corpus(options.corpus, options.data_dir)
    rows = list(track(rows_of(utterances), "listening", len(utterances)))
    prints = np.frombuffer(b"".join(row.fingerprint for row in rows), np.uint8).reshape(-1, 32, 4)
    runs = [measure(draw(prints, count)) for count in track(SIZES, "searching")]
    show(runs)
    if options.output:
        result = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "load": os.getloadavg()[0],
            "versions": versions(),
            "corpus": options.corpus,
            "runs": runs,
        }
        write_json(options.output, result)


if __name__ == "__main__":
    main()
