"""Measures the development server against the same graph called in process.

    python benchmarks/serving.py --output results/benchmarks/serving.json

Every system in its paper's size with random weights: weights change no time. The server is another
process on the same cores; calls in process and over gRPC take turns, so that a machine whose speed
drifts slows both, a third of them after each of three starts: one loaded graph is not as fast as
the next. The server has the batching.config of serving/deploy. With 8 clients, threads
call the graph in process, and threads of this process the server. Live streams are clients of the
predictive VRNN, each with a window of speech to analyse every hop: front end, then one step.
`late` is how long after the end of its hop an answer came; a stream keeps up when that is below one
hop. Overload is ten times as many clients, each of which asks again as soon as it is answered or
refused; a flood asks ten times as often as 8 clients got answers, whether the last has come or not.
Of both those count that come after the first deadlines have passed and before the last request is
sent. `asking_cores` is how much of the machine this process took to ask. The restart is from kill
-9 to the first answer. `bare_ms` is what Python's gRPC takes of itself: a server that reads the
same bytes, waits as long as the graph took in process, and answers with as many bytes as the real
one; what its client waited beyond that. `above_ms` is how far the median over gRPC is above that in
process, with its 95 % interval. `grpc` asks for what `SerClient.predict` asks for, `grpc_maps` for
the maps of attention, too, which a call in process always gives. Throughput, overload and flood
take turns, too, and each round's share is of its own peak.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As the command `ser` has it: both sides run the same kernels.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
# Started as a file, its folder comes first on the path, and this file would be `serving`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from rich.progress import track

from benchmarks.asker import DEADLINE_S, Asker, summarize_rounds
from benchmarks.bare_grpc import bare_call
from benchmarks.live_streams import live_streams
from ser_keras.data.segments import WHOLE, Segments
from ser_keras.experiments.provenance import versions
from ser_keras.features.specs import get_spec
from ser_keras.files import write_json
from ser_keras.models import build_model
from serving.client import SerClient
from serving.client.prediction import ANSWER_OUTPUTS
from serving.export.export import write_export
from serving.export.signatures import Served
from serving.export.trust.hashes import write_hashes
from serving.server.loading.memory import exempt_from_garbage_collection
from serving.server.session import LoadedModel

DEPLOY = Path(__file__).resolve().parents[1] / "serving" / "deploy"
SYSTEMS = {
    "moma": ("logmel23", {}, WHOLE),
    "predictive_vrnn": ("mfcc40-windows", {}, WHOLE),
    "attention_cnn": ("spectrogram400", {}, Segments(197, 40)),
    "alexnet_fcn": ("spectrogram200", {}, WHOLE),
    "sparse_autoencoder": ("logmel40-deltas", {}, WHOLE),
}
SECONDS = (1, 4, 30)
CLIENTS, STARTS = 8, 3
BATCHING = ["--enable_batching", "--batching_parameters_file", DEPLOY / "batching.config"]
OVERLOAD = 10
CLASSES = tuple("abcdefgh")


def export(name, base):
    """Writes a model of the paper's size; returns its version's folder."""
    spec_name, options, segments = SYSTEMS[name]
    spec = get_spec(spec_name, trim_db=35)
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=len(CLASSES), dim=spec.dim, **options)
    folder = base / name / "1"
    write_export(Served(model, spec, CLASSES, segments), folder, name)
    write_hashes(folder)
    return folder


def serve(name, base):
    """Starts a server in a process of its own; returns (process, endpoint)."""
    port = 20000 + os.getpid() % 20000
    command = [sys.executable, "-m", "ser_keras", "serve", "--model_name", name]
    command += ["--model_base_path", base / name, "--port", port, "--rest_api_port", port + 1]
    command += BATCHING
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL)
    return process, f"localhost:{port}"


def speech(seconds):
    """Returns the inputs of `serving_default` for that much noise."""
    samples = seconds * 16000
    waveform = np.random.default_rng(0).uniform(-0.1, 0.1, (1, samples)).astype(np.float32)
    return {"waveform": waveform, "length": np.array([samples], np.int32)}


def bare_ms(model, client, inputs, took_ms, rounds):
    """Returns the median time of a bare call beyond the time that its server was told to wait.

    In between, this process runs the graph, as it does where the real server is asked.
    """
    outputs, _ = client.ask(inputs, outputs=ANSWER_OUTPUTS)
    size = sum(len(value.tobytes()) for value in outputs.values())
    data = client.request_of(inputs).SerializeToString()
    with bare_call() as call:
        calls = {
            "in_process": lambda: model.run("serving_default", inputs),
            "bare": lambda: call(took_ms / 1000, size, data),
        }
        times_ms = time_in_turns(calls, rounds, "bare gRPC")
    return round(float(np.median(times_ms["bare"])) - took_ms, 2)


def time_in_turns(calls, rounds, title):
    """Returns the milliseconds of every round of each call; the calls take turns."""
    times_ms = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in track(range(rounds), title):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times_ms[name].append(1000 * (time.perf_counter() - began))
    return times_ms


def median_difference(first_ms, second_ms, draws=2000):
    """Returns by how much the first median exceeds the second, and its 95 % bootstrap interval.

    A round has a value of both, and is drawn as a whole.
    """
    both = np.array([first_ms, second_ms])
    drawn = np.random.default_rng(0).integers(both.shape[1], size=(draws, both.shape[1]))

    def difference(values):
        first, second = np.median(values, axis=-1)
        return first - second

    interval = np.percentile(difference(both[:, drawn]), (2.5, 97.5))
    return round(float(difference(both)), 2), [round(float(end), 2) for end in interval]


def calls_per_second(call, seconds):
    """Returns the calls of `CLIENTS` threads that are answered in a second."""
    ends = time.perf_counter() + seconds

    def work(_):
        count = 0
        while time.perf_counter() < ends:
            call()
            count += time.perf_counter() < ends
        return count

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(work, range(CLIENTS))) / seconds


def memory_mb(process):
    """Returns the resident memory of a process."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


@contextmanager
def started(name, base):
    """Gives a fresh (graph in process, process of a server, its endpoint, client)."""
    model = LoadedModel(base / name / "1")
    # As the server does: otherwise a full collection would be measured on either side.
    exempt_from_garbage_collection()
    process, endpoint = serve(name, base)
    try:
        with SerClient(endpoint, name) as client:
            client.wait_until_available(120)
            yield model, process, endpoint, client
    finally:
        process.kill()
        process.wait()
        model.close()


def latency(name, base, rounds):
    """Returns the time of one call at a time, by length of audio."""
    times_ms = {length: defaultdict(list) for length in SECONDS}
    rows = {length: {"above_by_start_ms": []} for length in SECONDS}
    for start in range(STARTS):
        with started(name, base) as (model, process, _, client):
            for length, row in rows.items():
                inputs = speech(length)
                in_process = partial(model.run, "serving_default", inputs)
                # Neither process is asked twice in a row: it would find its weights in the caches.
                calls = {
                    "in_process": in_process,
                    "grpc": partial(client.ask, inputs, outputs=ANSWER_OUTPUTS),
                    "in_process_again": in_process,
                    "grpc_maps": partial(client.ask, inputs),
                }
                title = f"{name}, {length} s of audio, start {start}"
                of_start = time_in_turns(calls, rounds // STARTS, title)
                for way, values in of_start.items():
                    times_ms[length][way] += values
                difference, _ = median_difference(of_start["grpc"], of_start["in_process"])
                row["above_by_start_ms"].append(difference)
                row["memory_mb"] = memory_mb(process)
                if start == STARTS - 1:
                    took_ms = float(np.median(times_ms[length]["in_process"]))
                    row["bare_ms"] = bare_ms(model, client, inputs, took_ms, rounds // STARTS)
    for length, row in rows.items():
        for way, values in times_ms[length].items():
            row[way] = {f"p{p}_ms": round(float(np.percentile(values, p)), 2) for p in (50, 99)}
        for way, reference, with_maps in (
            ("grpc", "in_process", ""),
            ("grpc_maps", "in_process_again", "_with_maps"),
        ):
            difference = median_difference(times_ms[length][way], times_ms[length][reference])
            row[f"above{with_maps}_ms"], row[f"above{with_maps}_95_ms"] = difference
    return {f"{length} s": row for length, row in rows.items()}


def measure(name, base, rounds, seconds):
    """Returns latency by length of audio, throughput, and the server's memory."""
    export(name, base)
    rows = latency(name, base, rounds)
    inputs = speech(4)
    rates, overload, flood, streams = {"in_process": [], "grpc": []}, [], [], {}
    with started(name, base) as (model, process, endpoint, client):
        fresh = memory_mb(process)
        asker = Asker(endpoint, name, inputs, seconds + DEADLINE_S)
        for _ in track(range(5), f"{name}, {CLIENTS} clients, and more"):
            for way, call in (
                ("in_process", lambda: model.run("serving_default", inputs)),
                ("grpc", lambda: client.ask(inputs, outputs=ANSWER_OUTPUTS)),
            ):
                rates[way].append(calls_per_second(call, seconds))
            # Beside its own peak: the machine is not always as fast.
            peak = rates["grpc"][-1]
            overload.append(asker.ask(peak, clients=OVERLOAD * CLIENTS))
            flood.append(asker.ask(peak, rate=OVERLOAD * peak))
        if "stream" in model.signatures:
            streams = live_streams(
                endpoint, name, get_spec(SYSTEMS[name][0]), model.signature("stream").inputs
            )
    throughput = {way: round(float(np.median(values)), 2) for way, values in rates.items()}
    # The server has been killed.
    began = time.perf_counter()
    process, endpoint = serve(name, base)
    try:
        with SerClient(endpoint, name) as client:
            client.wait_until_available(120)
            client.ask(inputs)
        restart_s = round(time.perf_counter() - began, 1)
    finally:
        process.terminate()
        process.wait()
    shares = np.divide(rates["grpc"], rates["in_process"])
    throughput["share"] = round(float(np.median(shares)), 3)
    return {
        "memory_loaded_mb": fresh,
        "killed_and_answering_again_s": restart_s,
        "overload": summarize_rounds(overload),
        "flood": summarize_rounds(flood),
        "latency": rows,
        f"calls_per_second_with_{CLIENTS}_clients": throughput,
    } | streams


def main():
    """Measures and prints every system; writes the file after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="other systems' rows in it are kept")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each throughput")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=list(SYSTEMS))
    options = parser.parse_args()
    rows = {}
    if options.output and options.output.exists():
        rows = json.loads(options.output.read_text())["systems"]
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    for name in options.systems:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measure(name, Path(folder), options.rounds, options.seconds)
        print(name, json.dumps(rows[name], indent=1), flush=True)
        if options.output:
            result = {"machine": machine, "versions": versions(), "systems": rows}
            write_json(options.output, result)


if __name__ == "__main__":
    main()
