"""Keys and certificates are checked, and never quoted."""

import re
import socket
import ssl
import warnings

import pytest

from ser_keras.errors import ConfigError
from serving.server.config_files import ModelEntry, read_batching, read_models, read_ssl
from serving.server.server import Server, ServerOptions
from serving.server.transport.tls import server_credentials
from tests.serving.server.certificates import write_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    paths = write_certificates(tmp_path_factory.mktemp("certificates"))
    return {name: path.read_text() for name, path in paths.items()}


@pytest.fixture
def config(files):
    return {
        "server_key": files["server.key"],
        "server_cert": files["server.pem"],
        "custom_ca": files["ca.pem"],
        "client_verify": True,
    }


def encrypted(key):
    """Returns a private key, protected by a password."""
    from cryptography.hazmat.primitives import serialization

    kind = serialization.PrivateFormat.PKCS8
    protection = serialization.BestAvailableEncryption(b"secret")
    loaded = serialization.load_pem_private_key(key.encode(), None)
    return loaded.private_bytes(serialization.Encoding.PEM, kind, protection).decode()


def quotes(message, secret):
    """Tells whether a message has a piece of a secret."""
    pieces = re.findall(r"[A-Za-z0-9+/]{12,}", secret)
    return any(piece in message for piece in pieces)


def test_good_ones_are_taken(config):
    assert server_credentials(config)
    assert server_credentials(config | {"custom_ca": "", "client_verify": False})


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("server_key", lambda text: "", "server_key is not a private key"),
        ("server_key", lambda text: text[:80], "server_key is not a private key"),
        ("server_key", lambda text: text.replace("M", "N"), "server_key is not a private key"),
        ("server_key", encrypted, "server_key is not a private key in PEM format without a passw"),
        ("server_cert", lambda text: text[:80], "server_cert is not a certificate"),
        ("server_cert", lambda text: "ä", "server_cert is not a certificate"),
        ("custom_ca", lambda text: "x", "custom_ca is not a certificate"),
        ("custom_ca", lambda text: "", "found client_verify: true without custom_ca"),
    ],
)
def test_a_bad_one_is_called_by_its_name_and_not_quoted(config, field, change, message):
    changed = config | {field: change(config[field])}
    with pytest.raises(ConfigError) as error:
        server_credentials(changed)
    assert message in str(error.value)
    assert not any(quotes(str(error.value), str(text)) for text in changed.values())


def test_a_key_of_another_certificate_is_not_taken_for_a_bad_port(config, files, tmp_path):
    options = ServerOptions(port=0, ssl=config | {"server_key": files["client.key"]})
    with pytest.raises(ConfigError, match="server_key is not the key of server_cert"):
        Server([ModelEntry("moma", tmp_path)], options)


def test_a_broken_file_is_refused_by_its_line_alone(files, tmp_path):
    key = files["server.key"]
    escaped = key.replace("\n", "\\n")
    path = tmp_path / "ssl.config"
    for text in (f'server_key: "{escaped}', f"server_key: {key}", f'server_key: "" {key}', key):
        path.write_text(text)
        for read in (read_ssl, read_batching, read_models):
            with pytest.raises(ConfigError, match=r"line 1, column \d+") as error:
                read(path)
            assert not quotes(str(error.value), key)
            assert not quotes(repr(error.value.__cause__), key)
            assert error.value.__suppress_context__


def is_answered(endpoint, *, newest=ssl.TLSVersion.TLSv1_3, certificate=True):
    """Tells whether a server sends anything to a client with this newest version of TLS."""
    context = ssl.create_default_context(cafile=endpoint.root_certificate)
    # Without it OpenSSL does not offer the old versions.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(endpoint.certificate, endpoint.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    host, port = endpoint.address.split(":")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=30) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as encrypted,
        ):
            return bool(encrypted.recv(1))
    except (ssl.SSLError, ConnectionError):
        return False


def test_old_versions_of_tls_and_clients_without_a_certificate_get_no_answer(closed):
    assert is_answered(closed)
    assert is_answered(closed, newest=ssl.TLSVersion.TLSv1_2)
    assert not is_answered(closed, newest=ssl.TLSVersion.TLSv1_1)
    assert not is_answered(closed, newest=ssl.TLSVersion.TLSv1)
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert not is_answered(closed, newest=newest, certificate=False)


def test_a_client_without_tls_gets_no_answer(closed):
    host, port = closed.address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /v1/models/moma HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/" not in connection.recv(100)
