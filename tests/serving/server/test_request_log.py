"""The log of requests: who asked what, and what came of it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import grpc
import pytest

from serving.client import messages
from serving.client.client import SerClient
from serving.client.connection import ServerError
from serving.server.config_files import ModelEntry
from serving.server.requests.record import RequestLog, RequestRecord
from serving.server.server import Server, ServerOptions
from tests.serving import exports
from tests.serving.server.certificates import write_ssl_config

SPEECH = exports.clips(1)[0]


@pytest.fixture(scope="module")
def logged(moma):
    """(server that logs requests, its lines)."""
    lines = []
    options = ServerOptions(port=0, rest_port=0, log_requests="all")
    running = Server([ModelEntry("moma", moma[1])], options, lines.append)
    running.start()
    yield running, lines
    running.stop()


def line_after(lines, call):
    """Returns the values of the one line that a call leaves, but for its time and client."""
    before = len(lines)
    call()
    # REST's line comes after its answer.
    deadline = time.monotonic() + 20
    while len(lines) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    (line,) = lines[before:]
    assert line.isprintable()
    values = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", values.pop("time"))
    assert re.fullmatch(r"(127\.0\.0\.1|\[::1\]):\d+", values.pop("client"))
    assert float(values.pop("seconds")) < 60
    return values


def refused(client):
    with pytest.raises(ServerError):
        client.ask({})


def posted(port, path, body):
    request = urllib.request.Request(f"http://localhost:{port}{path}", json.dumps(body).encode())
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=20)


def test_a_request_leaves_a_line_with_all_that_is_asked_of_an_operator(logged):
    running, lines = logged
    with SerClient(f"localhost:{running.port}", "moma") as client:
        line = line_after(lines, lambda: client.predict(SPEECH))
        size = int(line.pop("bytes"))
        assert 4 * len(SPEECH) < size < 4 * len(SPEECH) + 200
        assert line == {
            "method": "predict",
            "model": "moma",
            "version": "1",
            "signature": "serving_default",
            "code": "OK",
        }
        line = line_after(lines, lambda: refused(client))
        assert line["code"] == "INVALID_ARGUMENT"
        assert line["problem"].startswith('"input size does not match')
    path = "/v1/models/moma:predict"
    line = line_after(lines, lambda: posted(running.rest_port, path, {"inputs": {"wav": 1}}))
    assert (line["method"], line["code"]) == ("rest_post", "INVALID_ARGUMENT")
    assert "Unknown input" in line["problem"]


def test_what_a_client_names_cannot_reach_into_the_terminal_or_forge_a_line(logged):
    running, lines = logged
    name = '\x1b[31m a" code=OK\n' + "x" * 500
    with SerClient(f"localhost:{running.port}", name) as client:
        line = line_after(lines, lambda: refused(client))
    assert line["code"] == "NOT_FOUND"
    assert json.loads(line["model"]) == '?[31m a" code=OK?' + "x" * 80 + "..."
    assert len(str(line)) < 700


def test_methods_that_are_not_served_have_a_line(logged):
    running, lines = logged
    with grpc.insecure_channel(f"localhost:{running.port}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
        line = line_after(lines, lambda: call.future(b"", timeout=20).code())
        assert (line["method"], line["code"]) == ("other", "UNIMPLEMENTED")
        assert (
            line["problem"] == '"Method not found! /tensorflow.serving.PredictionService/Classify"'
        )


def test_the_level_chooses_the_lines():
    refusal, answer = RequestRecord("predict", code="NOT_FOUND"), RequestRecord("predict")
    for level, count in (("all", 2), ("refused", 1), ("none", 0)):
        lines = []
        log = RequestLog(lines.append, level)
        log.add(refusal)
        log.add(answer)
        assert len(lines) == count


def test_names_that_clients_think_of_do_not_fill_the_metrics(logged):
    running, _ = logged
    with grpc.insecure_channel(f"localhost:{running.port}") as channel:
        call = channel.unary_unary(messages.PREDICT)
        for number in range(20):
            request = messages.PredictRequest()
            request.model_spec.name = f"stranger{number}"
            if number % 2:
                request.model_spec.version_label = f"label{number}"
            assert call.future(request.SerializeToString(), timeout=20).code().name in (
                "NOT_FOUND",
                "INVALID_ARGUMENT",
            )
    text = running.metrics.text()
    assert "stranger" not in text
    assert "label" not in text
    assert 'request_count{model_name="",entrypoint="predict",status="NOT_FOUND"}' in text


def test_there_is_no_log_unless_asked_for(moma):
    lines = []
    running = Server(
        [ModelEntry("moma", moma[1])], ServerOptions(port=0, rest_port=None), lines.append
    )
    running.start()
    before = len(lines)
    with SerClient(f"localhost:{running.port}", "moma") as client:
        client.predict(SPEECH)
    assert len(lines) == before
    running.stop()


@pytest.mark.slow
def test_a_failed_handshake_leaves_a_line(moma, tmp_path):
    config, _ = write_ssl_config(tmp_path)
    command = [sys.executable, "-m", "ser_keras", "serve", "--model_name", "moma"]
    command += ["--model_base_path", str(moma[1]), "--port", "0"]
    command += ["--ssl_config_file", str(config), "--log-requests", "refused"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    ) as process:
        port = next(
            match[1]
            for line in process.stdout
            if (match := re.match(r"gRPC 127\.0\.0\.1:(\d+)", line))
        )
        with grpc.insecure_channel(f"localhost:{port}") as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/any/Method")(b"", timeout=5)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert "Handshake failed" in rest
