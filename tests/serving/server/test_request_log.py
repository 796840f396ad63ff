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

from serving.client.client import SerClient
from serving.client.connection import ServerError
from serving.server.config_files import ModelEntry
from serving.server.server import Server, ServerOptions
from tests.serving import exports
from tests.serving.server.certificates import write_ssl_config

SPEECH = exports.clips(1)[0]


@pytest.fixture(scope="module")
def logged(moma):
    """(server that logs requests, its lines)."""
    lines = []
    options = ServerOptions(port=0, rest_port=0, log_requests=True)
    running = Server([ModelEntry("moma", moma[1])], options, lines.append)
    running.start()
    yield running, lines
    running.stop()


def line_after(lines, call):
    """Returns the one line that a call leaves, without time and port of the client."""
    before = len(lines)
    call()
    # REST's line comes after its answer.
    deadline = time.monotonic() + 20
    while len(lines) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    (line,) = lines[before:]
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (127\.0\.0\.1|\[::1\]):\d+ (.*)"
    return re.sub(r"\d+\.\d ms", "TIME", re.fullmatch(pattern, line)[2])


def refused(client):
    with pytest.raises(ServerError):
        client.ask({})


def posted(port, path, body):
    request = urllib.request.Request(f"http://localhost:{port}{path}", json.dumps(body).encode())
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=20)


def test_a_request_leaves_a_line_with_client_model_status_and_time(logged):
    running, lines = logged
    with SerClient(f"localhost:{running.port}", "moma") as client:
        assert line_after(lines, lambda: client.predict(SPEECH)) == "predict moma OK TIME"
        line = line_after(lines, lambda: refused(client))
        assert line.startswith("predict moma INVALID_ARGUMENT TIME input size does not match")
    path = "/v1/models/moma:predict"
    line = line_after(lines, lambda: posted(running.rest_port, path, {"inputs": {"wav": 1}}))
    assert line.startswith(f"rest_post - INVALID_ARGUMENT TIME {path}: Unknown input 'wav'")


def test_what_a_client_names_cannot_reach_into_the_terminal(logged):
    running, lines = logged
    with SerClient(f"localhost:{running.port}", "\x1b[31m" + "x" * 500) as client:
        line = line_after(lines, lambda: refused(client))
    assert line.isprintable()
    assert line.startswith(f"predict ?[31m{'x' * 52}... NOT_FOUND TIME Servable not found")
    assert len(line) < 450


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
    command += ["--model_base_path", str(moma[1]), "--port", "0", "--rest_api_port", "0"]
    command += ["--ssl_config_file", str(config), "--log-requests"]
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
