"""Good, broken and slow requests and swaps of versions, for minutes: nothing grows or is wrong.

`SER_KERAS_SOAK_S` says how long it takes; ten minutes where it is unset.
"""

import http.client
import json
import os
import shutil
import signal
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.client.connection import ServerError
from tests.serving import adapted, exports
from tests.serving.server.fuzzing import mutated, send_slowly
from tests.serving.server.processes import ServerProcess

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("SER_KERAS_SOAK_S", "600"))
# Before that the server makes buffers and threads, and loads its first new versions.
SETTLED_S = SECONDS / 3
MODEL, CLIENTS = "adapted", 64
# Everything runs at once, so that a version takes its time.
LOADED_S = 300.0
# A version stays in memory until the next one answers.
SWAP_S, KEPT = 8.0, 2
SEED = 20240607
PREDICT = "/tensorflow.serving.PredictionService/Predict"
# What a client may be told that sent nonsense, and any client while there is too much to do.
FAULTS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
BUSY = {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}
REST_FAULTS, REST_BUSY = {200, 400, 404, 408, 413}, {429, 503, 504}
# Memory at the end beside that after settling, descriptors beside those of the idle server, and
# lines of the metrics: a fixed number of models, methods and statuses, and a dozen buckets each.
MEMORY_GROWTH, MORE_DESCRIPTORS, SERIES = 1.15, 10, 600


@dataclass(frozen=True)
class Question:
    """A request, and what the export answers in the process of the test.

    Args:
        signature: str.
        inputs: arrays by name.
        answers: outputs by name, for each of the exports that can answer.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    answers: dict[int, dict[str, np.ndarray]]


@dataclass
class Record:
    """What happened so far, from all clients."""

    stopped: threading.Event = field(default_factory=threading.Event)
    seen: Counter[tuple[str, object]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    # (seconds since the start, bytes of the server).
    memory: list[tuple[float, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, job, result) -> None:
        with self.lock:
            self.seen[job.__name__, result] += 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of two exports with other weights; odd versions are copies of the second."""
    base = tmp_path_factory.mktemp("exports")
    return [exports.publish(adapted.small(seed=seed), base / str(seed), 1) for seed in (0, 1)]


@pytest.fixture(scope="module")
def questions(folders):
    """Requests of mixed lengths of four signatures, with the answers of both exports."""
    waveforms = exports.clips(10, seed=3, least=4000, most=64000)
    loaded = [tf.saved_model.load(str(folder)).signatures for folder in folders]
    asked = []
    for waveform in waveforms:
        inputs = exports.batch([waveform])
        asked.append(_question(loaded, "serving_default", inputs))
        asked.append(_question(loaded, "enrol", inputs))
    for number, signatures in enumerate(loaded):
        speaker = exports.batch(waveforms[:1])
        known = _ask_offline(signatures["enrol"], speaker)
        speaker |= {name: known[name] for name in known if name.startswith(("frame", "functional"))}
        speaker["export_id"] = known["export_id"]
        asked.append(_question(loaded, "enrol_embedding", speaker, (number,)))
        embedding = asked[-1].answers[number]["embedding_statistics"]
        speaker = speaker | {"embedding_statistics": embedding}
        asked.append(_question(loaded, "adapted", speaker, (number,)))
    return asked


def _question(loaded, signature, inputs, numbers=(0, 1)):
    answers = {number: _ask_offline(loaded[number][signature], inputs) for number in numbers}
    return Question(signature, inputs, answers)


def _ask_offline(function, inputs):
    answers = function(**{name: tf.constant(values) for name, values in inputs.items()})
    return {name: tensor.numpy() for name, tensor in answers.items()}


@pytest.fixture(scope="module")
def running(folders, tmp_path_factory):
    base = tmp_path_factory.mktemp("soak") / MODEL
    shutil.copytree(folders[0], base / "2")
    process = ServerProcess(base, "--enable_batching", model=MODEL)
    try:
        with process.client() as client:
            client.wait_until_available(LOADED_S)
        yield process
    finally:
        if process.process.poll() is None:
            process.stop(signal.SIGKILL)


def test_a_server_under_everything_at_once_stays_right_and_does_not_grow(
    running, folders, questions
):
    record, idle = Record(), running.descriptors()
    jobs = [(_ask_rightly, 38), (_ask_rightly_by_rest, 10), (_ask_nonsense, 8)]
    jobs += [(_ask_nonsense_by_rest, 6), (_ask_slowly, 2)]
    assert sum(count for _, count in jobs) == CLIENTS
    work = [job for job, count in jobs for _ in range(count)]
    threads = [
        threading.Thread(target=job, args=(running, questions, record, SEED + number))
        for number, job in enumerate(work)
    ]
    threads.append(threading.Thread(target=_watch, args=(running, record)))
    for thread in threads:
        thread.start()
    swaps = _swap_versions(running, folders, record)
    record.stopped.set()
    for thread in threads:
        thread.join()

    assert running.process.poll() is None
    assert record.wrong == []
    assert all(record.seen[job.__name__, "right"] for job, _ in jobs[:2])
    assert swaps >= max(1, SECONDS // 60)
    before, after = _medians(record.memory)
    assert after < MEMORY_GROWTH * before, (before, after, record.seen)
    assert _descriptors_at_rest(running, idle + MORE_DESCRIPTORS) <= idle + MORE_DESCRIPTORS
    text = _metrics(running)
    assert len(text.splitlines()) < SERIES
    assert "nobody" not in text
    assert running.stop() == 0


def _ask_rightly(running, questions, record, seed):
    """Asks over gRPC and compares each answer with that of the same signature in this process."""
    rng = np.random.default_rng(seed)
    with running.client(timeout_s=60.0) as client:
        while not record.stopped.is_set():
            question = questions[rng.integers(len(questions))]
            try:
                outputs, version = client.ask(question.inputs, question.signature)
            except ServerError as error:
                # Statistics of the other export are refused, as they must be.
                strange = error.code == "INVALID_ARGUMENT" and len(question.answers) == 1
                if error.code not in BUSY and not strange:
                    record.wrong.append(f"{question.signature}: {error}")
                record.count(_ask_rightly, error.code)
                continue
            expected = question.answers.get(version % 2)
            if expected is None:
                record.wrong.append(f"{question.signature}: answered by version {version}")
            elif difference := _difference(outputs, expected):
                record.wrong.append(f"{question.signature}, version {version}: {difference}")
            record.count(_ask_rightly, "right")


def _difference(outputs, expected):
    """Returns in what an answer is not the expected one."""
    if outputs.keys() != expected.keys():
        return f"outputs {sorted(outputs)}"
    for name, values in expected.items():
        output = outputs[name]
        if values.dtype.kind == "f":
            if not np.allclose(output, values, rtol=1e-4, atol=1e-5):
                return f"{name} by {np.abs(output - values).max():.2g}"
        elif output.tolist() != values.tolist():
            return f"{name}: {output.tolist()}"
    return ""


def _ask_rightly_by_rest(running, questions, record, seed):
    rng = np.random.default_rng(seed)
    asked = [question for question in questions if question.signature == "serving_default"]
    asked = sorted(asked, key=lambda question: question.inputs["waveform"].size)[:4]
    while not record.stopped.is_set():
        question = asked[rng.integers(len(asked))]
        body = {"inputs": {name: values.tolist() for name, values in question.inputs.items()}}
        status, text = _post(running, json.dumps(body).encode())
        record.count(_ask_rightly_by_rest, "right" if status == 200 else status)
        if status != 200:
            if status not in REST_BUSY:
                record.wrong.append(f"REST: {status} {text[:200]}")
            continue
        probabilities = np.array(json.loads(text)["outputs"]["probabilities"])
        if not any(
            np.allclose(probabilities, answer["probabilities"], atol=1e-5)
            for answer in question.answers.values()
        ):
            record.wrong.append(f"REST: {probabilities.tolist()}")


def _ask_nonsense(running, questions, record, seed):
    """Sends requests that are broken, or about models and versions that do not exist."""
    rng = np.random.default_rng(seed)
    with running.client() as client:
        whole = [client.request_of(q.inputs, q.signature).SerializeToString() for q in questions]
        short = [data for data in whole if len(data) < 100_000]
        call = client.channel.unary_unary(PREDICT)
        while not record.stopped.is_set():
            data = mutated(short[rng.integers(len(short))], rng)
            if rng.random() < 0.3:
                stranger = client.request_of({"waveform": np.zeros((1, 9), np.float32)})
                stranger.model_spec.name = f"nobody-{rng.integers(1 << 30)}"
                stranger.model_spec.version_label = f"nobody-{rng.integers(1 << 30)}"
                data = stranger.SerializeToString()
            try:
                call(data, timeout=60.0)
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
            record.count(_ask_nonsense, code)
            if code not in FAULTS | BUSY:
                record.wrong.append(f"nonsense over gRPC: {code}")


def _ask_nonsense_by_rest(running, questions, record, seed):
    rng = np.random.default_rng(seed)
    bodies = [
        b'{"inputs": {"waveform": [[0.1, 0.2, -0.1]], "length": [3]}}',
        b'{"instances": [{"waveform": [0.1, 0.2], "length": 2}, {"waveform": [0, 1]}]}',
        b'{"signature_name": "enrol", "inputs": {"waveform": [[0.1]], "length": [1]}}',
    ]
    while not record.stopped.is_set():
        body = mutated(bodies[rng.integers(len(bodies))], rng)
        name = f"nobody-{rng.integers(1 << 30)}" if rng.random() < 0.3 else MODEL
        status, text = _post(running, body, name)
        record.count(_ask_nonsense_by_rest, status)
        if status not in REST_FAULTS | REST_BUSY:
            record.wrong.append(f"nonsense over REST: {status} {text[:200]}")


def _ask_slowly(running, questions, record, seed):
    """Begins requests that take longer than anybody waits."""
    while not record.stopped.is_set():
        send_slowly(running.rest_port, f"/v1/models/{MODEL}:predict", min(20.0, SECONDS / 6))
        record.count(_ask_slowly, "begun")


def _post(running, body, name=MODEL):
    """Returns (status, text) of a request for Predict; status 0 where the answer got lost."""
    url = f"http://localhost:{running.rest_port}/v1/models/{name}:predict"
    try:
        with urllib.request.urlopen(url, body, timeout=60.0) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def _swap_versions(running, folders, record):
    """Publishes a version after the other for the whole time, damaged ones among them.

    Returns:
        how many of them took over.
    """
    number, taken, ends = 2, 0, time.monotonic() + SECONDS
    rng = np.random.default_rng(SEED)
    while time.monotonic() < ends:
        number += 1
        staged = running.base / f".tmp-{number}"
        shutil.copytree(folders[number % 2], staged)
        damaged = number % 3 == 0
        if damaged:
            path = staged / "saved_model.pb"
            path.write_bytes(mutated(path.read_bytes()[: rng.integers(10, 10_000)], rng))
        staged.rename(running.base / str(number))
        if not damaged:
            with running.client(version=number) as client:
                client.wait_until_available(LOADED_S)
            taken += 1
        time.sleep(min(SWAP_S, max(0.0, ends - time.monotonic())))
        if damaged:
            shutil.rmtree(running.base / str(number))
        old = sorted((p for p in running.base.iterdir() if p.name.isdecimal()), key=_number)
        for folder in old[:-KEPT]:
            shutil.rmtree(folder)
    return taken


def _number(folder):
    return int(folder.name)


def _watch(running, record):
    began = time.monotonic()
    while not record.stopped.wait(0.5):
        record.memory.append((time.monotonic() - began, running.memory()))


def _medians(memory):
    """Returns the usual memory of the sixth after settling, and of the last sixth."""
    last = memory[-1][0]
    span = last / 6
    first = [size for seconds, size in memory if SETTLED_S <= seconds < SETTLED_S + span]
    return statistics.median(first), statistics.median(
        [size for seconds, size in memory if seconds >= last - span]
    )


def _descriptors_at_rest(running, few):
    """Returns the number of open descriptors once it is small, or what is left after a minute."""
    deadline = time.monotonic() + 60.0
    while (count := running.descriptors()) > few and time.monotonic() < deadline:
        time.sleep(1.0)
    return count


def _metrics(running):
    url = f"http://localhost:{running.rest_port}/monitoring/prometheus/metrics"
    with urllib.request.urlopen(url, timeout=60.0) as answer:
        return answer.read().decode()
