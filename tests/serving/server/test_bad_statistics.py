"""The server refuses bad statistics of a speaker with a sentence, over gRPC and REST."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from ser_keras.features.extract import extract
from serving.client.client import SerClient
from serving.client.connection import ServerError
from tests.serving import adapted, exports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def waveform():
    return exports.clips(1, seed=2, least=12000, most=16000)[0]


@pytest.fixture(scope="module")
def statistics(adapted_server, waveform):
    served, _ = adapted_server
    return adapted.inputs_of(served, [extract(served.spec, waveform)])


def ask_rest(server, inputs, signature="adapted"):
    """Returns (HTTP status, the answer) of the REST interface."""
    values = {name: np.asarray(value).tolist() for name, value in inputs.items()}
    body = json.dumps({"signature_name": signature, "inputs": values}).encode()
    url = f"http://localhost:{server.rest_port}/v1/models/adapted:predict"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("fault", adapted.BAD)
def test_bad_statistics_are_an_invalid_argument(fault, adapted_server, waveform, statistics):
    _, server = adapted_server
    spoil, message = adapted.BAD[fault]
    inputs = exports.batch([waveform]) | spoil(statistics)
    with (
        SerClient(f"localhost:{server.port}", "adapted", timeout_s=120) as client,
        pytest.raises(ServerError) as refused,
    ):
        client.ask(inputs, "adapted")
    assert refused.value.code == "INVALID_ARGUMENT"
    assert message in str(refused.value)
    status, answer = ask_rest(server, inputs)
    assert status == 400
    assert message in answer["error"]


def test_rest_enrols_and_answers_as_grpc_does(adapted_server, waveform, statistics):
    _, server = adapted_server
    batch = exports.batch([waveform])
    status, answer = ask_rest(server, batch, "enrol")
    assert status == 200
    first = answer["outputs"]
    assert first["export_id"] == statistics["export_id"].tolist()
    status, answer = ask_rest(server, batch | first, "enrol_embedding")
    assert status == 200
    # A single output has no name.
    speaker = first | {"embedding_statistics": answer["outputs"]}
    status, answer = ask_rest(server, batch | speaker)
    assert status == 200
    assert answer["outputs"]["track"] == ["adapted"]
    with SerClient(f"localhost:{server.port}", "adapted", timeout_s=120) as client:
        expected, _ = client.ask(batch | statistics, "adapted")
    np.testing.assert_allclose(
        answer["outputs"]["probabilities"], expected["probabilities"], atol=1e-4
    )


def test_missing_statistics_are_refused_in_the_words_of_tensorflow_serving(
    adapted_server, waveform
):
    _, server = adapted_server
    with (
        SerClient(f"localhost:{server.port}", "adapted") as client,
        pytest.raises(ServerError, match=r"Missing but required: \{embedding_statistics,export_id"),
    ):
        client.ask(exports.batch([waveform]), "adapted")
