"""The examples, as a user starts them."""

import json
import sys

import pytest
import soundfile

from tests.architecture import ROOT
from tests.serving import exports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    path = tmp_path_factory.mktemp("examples") / "speech.wav"
    soundfile.write(path, exports.clips(1, least=20000)[0], exports.RATE, subtype="PCM_16")
    return path


def run(*command):
    ran = exports.completed(*command, cwd=ROOT, TF_CPP_MIN_LOG_LEVEL="3")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_three_examples_print_the_same(wav, server, moma):
    output = run(sys.executable, "examples/saved_model.py", moma[1] / "1", wav)
    shares = dict(part.split() for part in output.partition("(")[2].rstrip(")\n").split(", "))
    assert sorted(shares) == sorted(exports.CLASSES)
    output = run(sys.executable, "examples/grpc_predict.py", wav, f"localhost:{server.port}")
    assert dict(line.split() for line in output.splitlines()) == shares
    body = run("examples/curl.sh", wav, f"http://localhost:{server.rest_port}")
    (row,) = json.loads(body)["predictions"]
    values = dict(zip(row["classes"], row["probabilities"], strict=True))
    for name, share in shares.items():
        assert values[name] == pytest.approx(float(share), abs=0.006)
