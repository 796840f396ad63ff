"""Measures decoding and every feature spec against librosa: speed per core, and difference.

    python benchmarks/features.py --data-dir DATA/ravdess --output results/benchmarks/features.json

Speed is seconds of audio per CPU second on one thread ("x real time"). Both sides take turns,
round after round, and each file's best round counts, so that a busy machine disturbs neither;
quote the ratios. Without --data-dir the audio is synthetic. Run it with OPENBLAS_CORETYPE unset,
which slows NumPy.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from threadpoolctl import threadpool_limits

from ser_keras.audio import SAMPLE_RATE_HZ, read_audio, write_wav
from ser_keras.corpora.base import audio_files
from ser_keras.experiments.provenance import versions
from ser_keras.features.extract import extract
from ser_keras.features.specs import SPECS, get_spec

# What `librosa_features` computes.
LIBROSA_KINDS = ("logmel", "mfcc", "spectrogram")


def librosa_features(spec, waveform):
    """Returns the features as a user of librosa would compute them, (dim, frames).

    The frame is centred in the DFT, so the signal is padded by half the difference.
    """
    waveform = np.pad(waveform, (spec.fft_points - spec.frame_samples) // 2)
    options = {
        "n_fft": spec.fft_points,
        "hop_length": spec.hop_samples,
        "win_length": spec.frame_samples,
        "window": spec.window,
        "center": False,
    }
    if spec.kind == "spectrogram":
        magnitude = np.abs(librosa.stft(waveform, **options))[: spec.num_bins]
        if spec.scale == "magnitude":
            return magnitude
        return librosa.power_to_db(magnitude**2, amin=spec.floor, top_db=None)
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=spec.sample_rate_hz,
        n_mels=spec.num_mels,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        **options,
    )
    if spec.kind == "logmel":
        static = np.log(np.maximum(mel, spec.floor))
    else:
        decibels = librosa.power_to_db(mel, amin=spec.floor, top_db=spec.top_db)
        static = librosa.feature.mfcc(S=decibels, n_mfcc=spec.num_mfcc)
    orders = range(1, spec.num_deltas + 1)
    deltas = [librosa.feature.delta(static, order=order, mode="nearest") for order in orders]
    return np.concatenate([static, *deltas])


def librosa_audio(path):
    """Decodes as a user of librosa would."""
    return librosa.load(path, sr=SAMPLE_RATE_HZ)[0]


def synthetic_files(folder, count):
    """Writes 48 kHz recordings of noise that swells, 2 to 5 s long."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(count):
        samples = rng.normal(0, 0.1, round(rng.uniform(2, 5) * 48000))
        paths.append(Path(folder) / f"{index:03d}.wav")
        write_wav(paths[-1], samples * np.hanning(len(samples)), 48000)
    return paths


def compare(ours, theirs, items, rounds, seconds):
    """Returns the speed of both functions over all items, in x real time."""
    best = np.full((2, len(items)), np.inf)
    for _ in range(rounds):
        for side, function in enumerate((ours, theirs)):
            for index, item in enumerate(items):
                started = time.process_time()
                function(item)
                best[side, index] = min(best[side, index], time.process_time() - started)
    mine, others = best.sum(axis=1)
    return {
        "x_real_time": seconds / mine,
        "librosa_x_real_time": seconds / others,
        "ratio": others / mine,
    }


def run(paths, rounds):
    """Returns one row per step."""
    waveforms = [read_audio(path) for path in track(paths, "decoding")]
    seconds = sum(map(len, waveforms)) / SAMPLE_RATE_HZ
    rows = {"decode": compare(read_audio, librosa_audio, paths, rounds, seconds)}
    # Windows are MFCC of slices of speech: nothing of their own to time. Prosody and openSMILE's
    # functionals have no counterpart in librosa.
    specs = {name: get_spec(name) for name in SPECS}
    framed = {name: spec for name, spec in specs.items() if spec.kind in LIBROSA_KINDS}
    for name, spec in track(framed.items(), "comparing"):
        difference = max(
            np.abs(extract(spec, w) - librosa_features(spec, w.astype(np.float64)).T).max()
            for w in waveforms
        )
        rows[name] = compare(
            lambda w, spec=spec: extract(spec, w),
            lambda w, spec=spec: librosa_features(spec, w),
            waveforms,
            rounds,
            seconds,
        ) | {"max_difference": float(difference)}
    return rows, seconds


def processor():
    """Returns the model of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def show(rows):
    """Prints the table."""
    table = Table("step", "x real time", "librosa", "ratio", "largest difference")
    for name, row in rows.items():
        difference = f"{row['max_difference']:.1e}" if "max_difference" in row else ""
        table.add_row(
            name,
            f"{row['x_real_time']:.0f}",
            f"{row['librosa_x_real_time']:.0f}",
            f"{row['ratio']:.2f}",
            difference,
        )
    Console().print(table)


def main():
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with WAV or FLAC files")
    parser.add_argument("--files", type=int, default=120, help="how many, evenly spread")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        files = audio_files(args.data_dir) if args.data_dir else []
        if args.data_dir and not files:
            parser.error(f"{args.data_dir}: found no WAV or FLAC file")
        paths = files[:: max(1, len(files) // args.files)] or synthetic_files(folder, args.files)
        rows, seconds = run(paths, args.rounds)
    show(rows)
    if args.output:
        report = {
            "audio": args.data_dir.name if args.data_dir else "synthetic",
            "files": len(paths),
            "seconds": seconds,
            "rounds": args.rounds,
            "threads": 1,
            "steps": rows,
            "machine": {"processor": processor(), "cores": os.cpu_count()},
            "environment": {"OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE")},
            "versions": versions(),
        }
        args.output.parent.mkdir(parents=True, exist_ok=True)
        temporary = args.output.with_name(f".{args.output.name}.tmp")
        temporary.write_text(json.dumps(report, indent=2) + "\n")
        os.replace(temporary, args.output)


if __name__ == "__main__":
    main()
