"""Measures the feature job as the corpus grows tenfold, with one worker and with two.

    python benchmarks/scale.py --output results/benchmarks/scale.json

Writes synthetic speech, 20 hours by default, as 16-bit WAV into a temporary folder (2.4 GB), and
runs the job on a tenth of it and on all of it, every run in a process of its own. What remains of
the longer run when the shorter is taken off is work without start-up: the ratio of two workers to
one is that of these remains, in seconds of the clock and, since others may use the machine, in CPU
seconds of the busiest worker. CPU seconds and memory are read from /proc, several times a second.
Memory is the peak of resident memory.
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

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipeline.beam.quiet import quiet_beam
from pipeline.cli.progress import JobProgress
from ser_keras.audio import SAMPLE_RATE_HZ, write_wav
from ser_keras.corpora.voice import TONES, VOWELS_HZ, person, speak
from ser_keras.data.feature_set import FeatureSet

SPEC = "logmel40"
SPEAKERS = 24
# Of which a recording is put together; as long as an utterance of RAVDESS.
PIECES, PIECES_EACH = 200, 3
GROWTH = 10
WORKERS = (1, 2)
TICKS = os.sysconf("SC_CLK_TCK")


def write_speech(root, hours, seed=0):
    """Writes recordings of `hours` in all; returns a table of a tenth of them and one of all.

    Every recording joins three synthetic utterances of one voice, each at a level of its own.
    """
    rng = np.random.default_rng(seed)
    pieces = {}
    for number in track(range(PIECES), "Synthesising speech"):
        speaker, label = number % SPEAKERS, list(TONES)[number // SPEAKERS % len(TONES)]
        vowels = rng.choice(list(VOWELS_HZ), 5).tolist()
        spoken = speak(vowels, person(speaker, seed), TONES[label].vary(rng), rng)
        pieces.setdefault((f"s{speaker:02}", label), []).append(spoken)
    mean_samples = np.mean([len(piece) for same in pieces.values() for piece in same])
    count = round(hours * 3600 * SAMPLE_RATE_HZ / (PIECES_EACH * mean_samples))
    lines = ["path,label,speaker"]
    voices = list(pieces)
    for number in track(range(count), f"Writing {hours:g} hours"):
        speaker, label = voices[number % len(voices)]
        choice = rng.choice(len(pieces[speaker, label]), PIECES_EACH)
        joined = [rng.uniform(0.5, 1.0) * pieces[speaker, label][index] for index in choice]
        name = f"{speaker}/{number:06}.wav"
        (root / speaker).mkdir(exist_ok=True)
        write_wav(root / name, np.concatenate(joined))
        lines.append(f"{name},{label},{speaker}")
    tables = []
    for name, rows in (("tenth.csv", lines[: 1 + count // GROWTH]), ("all.csv", lines)):
        (root / name).write_text("\n".join(rows) + "\n")
        tables.append(root / name)
    return tables


class Processes:
    """CPU seconds and peak memory of the driver and its workers, as last seen alive."""

    def __init__(self, output):
        self.output = output
        self.seen = {}
        self.first_s = self._cpu_s("self")

    def look(self):
        """Reads them once."""
        workers = [path.stem for path in self.output.glob(".attempt-*/*.worker")]
        for process in ("self", *workers):
            try:
                self.seen[process] = (self._cpu_s(process), self._peak_bytes(process))
            except (OSError, StopIteration):
                continue

    @staticmethod
    def _cpu_s(process):
        # The name of the program, in brackets, may hold blanks.
        stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    @staticmethod
    def _peak_bytes(process):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def run_job(table, output, workers):
    """Runs the job in this process; returns what it took."""
    quiet_beam()
    from pipeline.features.job import build_feature_set
    from ser_keras.features.specs import get_spec

    processes = Processes(output)
    began = time.perf_counter()
    with JobProgress() as bar:

        def progress(step, done, total):
            bar(f"{workers} on {table.stem}: {step}", done, total)
            processes.look()

        path = build_feature_set(
            "manifest", table, get_spec(SPEC), output, workers=workers, progress=progress
        )
    wall_s = time.perf_counter() - began
    processes.look()
    feature_set = FeatureSet.open(path)
    driver_s, driver_bytes = processes.seen.pop("self")
    worked = list(processes.seen.values())
    return {
        "workers": workers,
        "hours": feature_set.manifest["counters"]["seconds_audio"] / 3600,
        "recordings": len(feature_set.rows),
        "shards": len(feature_set.shard_paths),
        "shard_bytes": sum(shard["bytes"] for shard in feature_set.manifest["shards"]),
        "wall_s": wall_s,
        "driver_cpu_s": driver_s - processes.first_s,
        "worker_cpu_s": [cpu_s for cpu_s, _ in worked],
        "driver_peak_bytes": driver_bytes,
        "worker_peak_bytes": [peak for _, peak in worked],
    }


def measure(table, output, workers):
    """Returns the measurements of `run_job` in a fresh process."""
    code = (
        "import json, pathlib, runpy, sys\n"
        "job = runpy.run_path(sys.argv[1])['run_job']\n"
        "run = job(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4]))\n"
        "pathlib.Path(sys.argv[5]).write_text(json.dumps(run))\n"
    )
    path = output.with_suffix(".json")
    arguments = [Path(__file__).resolve(), table, output, workers, path]
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)
    return json.loads(path.read_text())


def compare(runs):
    """Returns the ratios, from the runs by (corpus, workers)."""
    small, large = runs["tenth", 1], runs["all", 1]

    def remains(workers, cost):
        return cost(runs["all", workers]) - cost(runs["tenth", workers])

    def busiest_s(run):
        return max(run["worker_cpu_s"] or [run["driver_cpu_s"]])

    def peak_bytes(run):
        return max([run["driver_peak_bytes"], *run["worker_peak_bytes"]])

    return {
        "speedup": remains(1, lambda run: run["wall_s"]) / remains(2, lambda run: run["wall_s"]),
        "speedup_by_cpu": remains(1, busiest_s) / remains(2, busiest_s),
        "cpu_s_per_hour": [run["driver_cpu_s"] / run["hours"] for run in (small, large)],
        "shard_bytes_per_hour": [run["shard_bytes"] / run["hours"] for run in (small, large)],
        "peak_bytes": [peak_bytes(run) for run in (small, large)],
        "worker_peak_bytes": [max(runs[size, 2]["worker_peak_bytes"]) for size in ("tenth", "all")],
    }


def show(runs, ratios):
    """Prints the runs and the ratios."""
    table = Table("corpus", "workers", "hours", "wall s", "CPU s", "driver MB", "workers MB")
    for (corpus, workers), run in runs.items():
        peaks = ", ".join(f"{peak / 1e6:.0f}" for peak in run["worker_peak_bytes"])
        cpu_s = run["driver_cpu_s"] + sum(run["worker_cpu_s"])
        cells = [f"{run['hours']:.2f}", f"{run['wall_s']:.1f}", f"{cpu_s:.1f}"]
        table.add_row(corpus, str(workers), *cells, f"{run['driver_peak_bytes'] / 1e6:.0f}", peaks)
    console = Console()
    console.print(table)
    console.print_json(data=ratios)


def main():
    """Measures, prints and writes."""
    # Here, because it imports Keras, of which the measured processes know nothing.
    from ser_keras.experiments.provenance import versions
    from ser_keras.files import write_json

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--hours", type=float, default=20.0)
    options = parser.parse_args()
    runs, load = {}, [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for table in write_speech(root, options.hours):
            for workers in WORKERS:
                run = measure(table, root / f"{table.stem}-{workers}", workers)
                runs[table.stem, workers] = run
                load.append(os.getloadavg()[0])
    ratios = compare(runs)
    show(runs, ratios)
    if options.output:
        result = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "load": load,
            "versions": versions(),
            "spec": SPEC,
            **ratios,
            "runs": [{"corpus": corpus, **run} for (corpus, _), run in runs.items()],
        }
        write_json(options.output, result)


if __name__ == "__main__":
    main()
