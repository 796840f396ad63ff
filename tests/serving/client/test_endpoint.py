"""Servers that want TLS, asked by the verbs of `ser` as users ask them."""

from dataclasses import replace

import pytest
import soundfile

from ser_keras.errors import ConfigError, ServingError
from serving.client.connection import ServerError
from serving.client.endpoint import Endpoint, endpoint_of
from serving.explain.described_export import open_export
from serving.explain.explain import explain
from serving.explain.signature_runners import server_signatures
from tests.serving import exports
from tests.serving.client.described import described


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, exports.clips(1, least=16000)[0], exports.RATE)
    return path


@pytest.fixture(scope="module")
def model(moma, tmp_path_factory):
    """The folder of the small MOMA, as `ser export` leaves it."""
    return described(*moma, tmp_path_factory.mktemp("described"))


def arguments(endpoint):
    """The arguments of `ser` for this server."""
    options = {"server": endpoint.address, "root-certificate": endpoint.root_certificate}
    options |= {"certificate": endpoint.certificate, "key": endpoint.key}
    return [word for name, value in options.items() if value for word in (f"--{name}", value)]


def test_predict_shows_a_server_its_certificate(ser, closed, speech):
    code, out, _ = ser("predict", speech, "--model", "moma", *arguments(closed))
    assert code == 0
    assert "speech.wav 0.0-" in out


def test_explain_shows_a_server_its_certificate(ser, closed, speech, model, tmp_path):
    line = ["explain", speech, "--model", model, "--output", tmp_path, *arguments(closed)]
    code, out, _ = ser(*line)
    assert code == 0
    assert "speech.wav 0.0-" in out
    assert (tmp_path / "speech-moma.png").is_file()


@pytest.mark.parametrize(
    "hidden", [("certificate", "key"), ("root_certificate", "certificate", "key")]
)
def test_a_client_without_a_certificate_is_refused(closed, speech, model, hidden):
    stranger = replace(closed, **dict.fromkeys(hidden))
    samples, _ = soundfile.read(speech, dtype="float32")
    with (
        pytest.raises(ServingError, match=r"UNAVAILABLE: .* give --(root-)?certificate"),
        server_signatures(open_export(model), stranger) as run,
    ):
        explain(open_export(model), run, samples, source="speech.wav")
    with stranger.client("moma") as client, pytest.raises(ServerError, match="UNAVAILABLE"):
        client.predict(samples)


def test_files_that_do_not_fit_are_refused_before_any_call(closed, tmp_path):
    with pytest.raises(ConfigError, match=r"--root-certificate .*no\.pem: found no file"):
        Endpoint("localhost:1", tmp_path / "no.pem")
    for alone in ("certificate", "key"):
        with pytest.raises(ConfigError, match="found one of --certificate and --key"):
            replace(closed, **{alone: None})
    with pytest.raises(ConfigError, match="--certificate: found no --root-certificate"):
        replace(closed, root_certificate=None)
    with pytest.raises(ConfigError, match="--key are for a --server, and none is given"):
        endpoint_of(None, None, None, closed.key)
    assert endpoint_of(None, None, None, None) is None
