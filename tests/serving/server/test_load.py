"""A server in a process of its own under load, invalid requests, version swaps and kills."""

import http.client
import shutil
import signal
import threading
import time
from collections import Counter

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from serving.client import messages
from serving.client.connection import ServerError
from serving.client.tensors import tensor_of
from tests.serving import exports
from tests.serving.server.certificates import write_ssl_config
from tests.serving.server.fuzzing import mutated
from tests.serving.server.processes import ServerProcess

pytestmark = pytest.mark.slow
FUZZED = 10_000
# Buffers and thread stacks are made in the first requests; growth is counted from there.
SETTLED = 2_000
SWAPS, REQUESTS = 20, 20_000
FAULTS_OF_CLIENTS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}


@pytest.fixture(scope="module")
def served(moma, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "moma"
    shutil.copytree(moma[1], folder)
    # Requests that are joined are the harder case.
    running = ServerProcess(folder, "--enable_batching")
    with running.client() as client:
        client.wait_until_available(60)
    yield running
    assert running.stop() == 0


@pytest.fixture
def clip():
    (waveform,) = exports.clips(1, least=3000, most=3001)
    return waveform


def valid_requests(clip):
    """Returns requests of three signatures that are answered."""
    wav = np.array([b"RIFF" + clip.astype("<f4").tobytes()[:200]], object)
    batch = exports.batch([clip[:400]])
    features = {"features": np.ones((1, 5, 23), np.float32), "frames": np.array([5], np.int32)}
    requests = []
    for signature, inputs in (("", batch), ("wav_bytes", {"wav": wav}), ("features", features)):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "moma"
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            tensor = tensor_of(values).SerializeToString()
            request.inputs[name].ParseFromString(tensor)
        requests.append(request.SerializeToString())
    return requests


def test_grpc_lives_through_mutated_requests(served, clip):
    rng = np.random.default_rng(0)
    requests, codes = valid_requests(clip), Counter()
    with grpc.insecure_channel(f"localhost:{served.port}") as channel:
        call = channel.unary_unary(messages.PREDICT)
        for number in range(FUZZED):
            if number == SETTLED:
                before = served.memory()
            data = mutated(requests[number % len(requests)], rng)
            codes[call.future(data, timeout=30).code().name] += 1
    assert set(codes) <= FAULTS_OF_CLIENTS, codes
    assert len(codes) > 2
    assert served.memory() < 1.05 * before


def test_rest_lives_through_mutated_requests(served, clip):
    rng = np.random.default_rng(1)
    bodies = [
        b'{"inputs": {"waveform": [[0.1, 0.2, -0.1]], "length": [3]}}',
        b'{"signature_name": "wav_bytes", "instances": [{"b64": "UklGRg=="}]}',
        b'{"instances": [{"waveform": [0.1, 0.2], "length": 2}, {"waveform": [0, 1]}]}',
    ]
    statuses = Counter()
    connection = http.client.HTTPConnection("localhost", served.rest_port, timeout=30)
    for number in range(FUZZED):
        if number == SETTLED:
            before = served.memory()
        body = mutated(bodies[number % len(bodies)], rng)
        connection.request("POST", "/v1/models/moma:predict", body)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
    connection.close()
    assert set(statuses) <= {200, 400, 404, 412}, statuses
    assert statuses[400] > FUZZED / 4
    assert served.memory() < 1.05 * before


def test_no_request_fails_while_versions_are_swapped_and_none_mixes_them(served, clip):
    second = served.base.parent / "second"
    exports.publish(exports.small("moma", seed=1), second, 1)
    inputs = exports.batch([clip])
    with served.client() as client:
        expected = {1: client.ask(inputs)[0]["probabilities"]}
    stopped, errors, answers = threading.Event(), [], Counter()

    def work(client):
        while not stopped.is_set() or sum(answers.values()) < REQUESTS:
            try:
                outputs, version = client.ask(inputs)
            except ServerError as error:
                errors.append(str(error))
                continue
            answers[version] += 1
            weights = version % 2
            probabilities = expected.setdefault(weights, outputs["probabilities"])
            if np.abs(outputs["probabilities"] - probabilities).max() > 1e-5:
                errors.append(version)
            # Python loads the next version in the process that answers.
            time.sleep(0.005)

    with served.client() as first, served.client() as second_client:
        threads = [
            threading.Thread(target=work, args=(client,)) for client in (first, second_client)
        ]
        for thread in threads:
            thread.start()
        for number in range(2, SWAPS + 2):
            source = served.base / "1" if number % 2 else second / "1"
            shutil.copytree(source, served.base / f".tmp-{number}")
            (served.base / f".tmp-{number}").rename(served.base / str(number))
            with served.client(version=number) as client:
                client.wait_until_available(120)
        stopped.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert len(answers) > SWAPS / 2
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


def test_killed_and_started_again_it_answers_the_same(served, clip):
    with served.client() as client:
        before, version = client.ask(exports.batch([clip]))
    served.stop(signal.SIGKILL)
    served.start()
    with served.client() as client:
        assert client.wait_until_available(60) == version
        after, _ = client.ask(exports.batch([clip]))
    np.testing.assert_array_equal(before["probabilities"], after["probabilities"])


def test_tls_and_clients_that_show_who_they_are(moma, clip, tmp_path):
    config, known = write_ssl_config(tmp_path)
    running = ServerProcess(moma[1], "--ssl_config_file", config)
    try:
        with running.client(**known) as client:
            client.wait_until_available(60)
            assert client.predict(clip).label in exports.CLASSES
        for stranger in ({"root_certificate": known["root_certificate"]}, {}):
            with (
                running.client(**stranger, timeout_s=5.0) as client,
                pytest.raises(ServerError, match=r"UNAVAILABLE|DEADLINE_EXCEEDED"),
            ):
                client.predict(clip)
    finally:
        assert running.stop() == 0
