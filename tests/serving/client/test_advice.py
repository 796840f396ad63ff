"""Servers that are not what the client takes them for: each has its own sentence."""

from dataclasses import replace

import pytest

from ser_keras.errors import ConfigError
from serving.client.connection import ServerError, advice_on
from serving.client.endpoint import Endpoint
from serving.server.config_files import ModelEntry, read_ssl
from serving.server.server import Server, ServerOptions
from tests.serving import exports
from tests.serving.server.certificates import write_certificates


@pytest.fixture(scope="module")
def encrypted(moma, tmp_path_factory):
    """The endpoint of a server with TLS that accepts every client."""
    files = write_certificates(tmp_path_factory.mktemp("certificates"))
    lines = {"server_key": "server.key", "server_cert": "server.pem"}
    config = files["ca.pem"].with_name("ssl.config")
    texts = [f"{key}: {files[name].read_text()!r}" for key, name in lines.items()]
    config.write_text("\n".join(texts))
    options = ServerOptions(port=0, rest_port=None, ssl=read_ssl(config))
    running = Server([ModelEntry("moma", moma[1])], options)
    running.start()
    yield Endpoint(f"localhost:{running.port}", files["ca.pem"])
    running.stop()


def refusal(endpoint):
    samples = exports.clips(1)[0]
    with endpoint.client("moma") as client, pytest.raises(ServerError) as refused:
        client.predict(samples)
    return str(refused.value)


def test_a_server_with_tls_is_told_from_none(encrypted):
    with encrypted.client("moma") as client:
        client.predict(exports.clips(1)[0])
    text = refusal(replace(encrypted, root_certificate=None))
    assert text.endswith("The server speaks TLS: give --root-certificate.")
    assert "ser serve" not in text


def test_a_server_that_asks_for_certificates_says_which_are_missing(closed):
    stranger = replace(closed, certificate=None, key=None)
    assert refusal(stranger).endswith(
        "The server asks clients for a certificate: give --certificate and --key."
    )
    assert refusal(replace(stranger, root_certificate=None)).endswith(
        "The server speaks TLS: give --root-certificate, and --certificate with --key, which it "
        "asks for."
    )


def test_certificates_of_another_authority_are_named(encrypted, closed, tmp_path):
    other = write_certificates(tmp_path)
    assert "--root-certificate must be of the authority" in refusal(
        replace(encrypted, root_certificate=other["ca.pem"])
    )
    unknown = replace(closed, certificate=other["client.pem"], key=other["client.key"])
    assert "--certificate must be of an authority that the server trusts" in refusal(unknown)


def test_a_server_without_tls_is_not_asked_in_tls(server, encrypted):
    endpoint = Endpoint(f"localhost:{server.port}", encrypted.root_certificate)
    assert refusal(endpoint).endswith(
        "The server does not speak TLS: leave --root-certificate out."
    )


def test_the_port_of_rest_is_told_from_that_of_grpc(server):
    endpoint = Endpoint(f"localhost:{server.rest_port}")
    assert "is the port of REST or of another HTTP server; give that of gRPC" in refusal(endpoint)


def test_where_nothing_listens_a_server_is_to_be_started():
    text = refusal(Endpoint("localhost:1"))
    assert "Nothing answers at localhost:1 (Connection refused). Start it with ser serve" in text
    assert "Nothing answers at no.such.host.invalid:1" in advice_on(
        "no.such.host.invalid:1", False, False
    )


def test_of_a_server_that_answers_nothing_is_said(server, encrypted):
    assert advice_on(f"localhost:{server.port}", False, False) == ""
    assert "does not accept" in advice_on(encrypted.address, True, False)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://localhost:8501", "an address with http://, .* did you mean localhost:8500?"),
        ("http://localhost:8501/v1/models/moma", "did you mean localhost:8500?"),
        ("https://asr.example", "an address with https://, .*did you mean asr.example:8500?"),
        ("grpc://host:9000", r"did you mean host:9000\?"),
        ("localhost", "found no host:port"),
        ("localhost:", "found no host:port"),
        (":8500", "found no host:port"),
        ("localhost:http", "found no host:port"),
        ("localhost:85000", "found no host:port"),
        ("localhost:8500/v1", "found no host:port"),
    ],
)
def test_an_address_that_is_none_is_refused_before_any_call(address, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Endpoint(address)


@pytest.mark.parametrize(
    "address", ["localhost:8500", "10.0.0.7:1", "[::1]:8500", "a-b.example:65535"]
)
def test_addresses_are_taken(address):
    assert Endpoint(address).address == address
