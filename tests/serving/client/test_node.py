"""A client in another language: JavaScript, from descriptors. Started by `make test-serving`."""

import subprocess

import pytest
import soundfile

from serving.client.client import SerClient
from serving.client.descriptors import descriptor_set
from tests.architecture import ROOT
from tests.serving import exports, streams

pytestmark = pytest.mark.node
FOLDER = ROOT / "examples" / "node"


@pytest.fixture
def ask(tmp_path, server):
    """Returns a function that runs the example: (exit code, stdout, stderr)."""
    if not (FOLDER / "node_modules").is_dir():
        pytest.fail(f"{FOLDER} has no node_modules; run make test-serving")
    (tmp_path / "serving.desc").write_bytes(descriptor_set().SerializeToString())

    def run(wav, model="moma"):
        command = ["node", "predict.mjs", tmp_path / "serving.desc", wav]
        command += [f"localhost:{server.port}", model]
        done = exports.completed(*command, cwd=FOLDER)
        return done.returncode, done.stdout, done.stderr

    return run


def test_it_predicts_and_prints_the_code_of_an_error(ask, server, tmp_path):
    wav, text = tmp_path / "speech.wav", tmp_path / "text.wav"
    soundfile.write(wav, exports.clips(1, least=20000)[0], exports.RATE, subtype="PCM_16")
    text.write_text("no speech")
    code, output, _ = ask(wav)
    assert code == 0
    with SerClient(f"localhost:{server.port}", "moma") as client:
        expected = client.predict(wav).probabilities
    printed = {name: float(share) for name, share in map(str.split, output.splitlines())}
    assert printed == pytest.approx(dict(expected), abs=0.006)
    code, _, error = ask(wav, model="nobody")
    assert code == 1
    assert error.startswith("NOT_FOUND: Servable not found for request: Latest(nobody)")
    code, _, error = ask(text)
    assert code == 1
    assert error.startswith("INVALID_ARGUMENT: ")


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    base = tmp_path_factory.mktemp("streams")
    for kind in ("windows", "frames"):
        exports.publish(streams.streaming(kind), base / kind)
    running = streams.Serve(base)
    yield running
    running.stop()


@pytest.mark.parametrize("kind", ["windows", "frames"])
def test_live_input_is_one_recording_step_by_step(kind, serve, tmp_path):
    (tmp_path / "serving.desc").write_bytes(descriptor_set().SerializeToString())
    waveform = streams.rising(21.3, seed=9)
    command = ["node", "predict.mjs", tmp_path / "serving.desc", "-"]
    command += [f"localhost:{serve.port}", kind]
    done = subprocess.run(
        [*map(str, command)],
        input=streams.pcm(waveform),
        capture_output=True,
        cwd=FOLDER,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    with serve.client(kind) as client:
        expected = list(client.timeline(waveform))
        whole = client.predict(waveform)
    assert len(lines) == len(expected) > 80
    for (end, label, share), prediction in zip(lines, expected, strict=True):
        assert float(end) == pytest.approx(prediction.end_s, abs=0.006)
        assert label == prediction.label
        assert float(share) == pytest.approx(max(prediction.probabilities.values()), abs=1e-4)
    assert float(lines[-1][2]) == pytest.approx(max(whole.probabilities.values()), abs=1e-4)


def test_live_input_is_for_models_that_stream(ask):
    code, output, error = ask("-")
    assert (code, output) == (1, "")
    assert error.startswith("moma: predicts each window by itself.")
