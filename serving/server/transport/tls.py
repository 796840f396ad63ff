"""TLS of the gRPC port. Messages never quote a key, a certificate or the file that holds them."""

import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from ser_keras.errors import ConfigError


def server_credentials(config: Mapping[str, Any]) -> grpc.ServerCredentials:
    """Returns gRPC's credentials, once key and certificates are known to be good.

    gRPC itself reports a bad key as a port that it could not bind.

    Args:
        config: server_key, server_cert, custom_ca and client_verify, as `read_ssl` returns them.

    Raises:
        ConfigError: says which of them is wrong.
    """
    key, certificate, authority = (
        config[name] for name in ("server_key", "server_cert", "custom_ca")
    )
    if config["client_verify"] and not authority:
        raise ConfigError(
            "--ssl_config_file: found client_verify: true without custom_ca, expected there the "
            "certificate of the authority that signs the clients' certificates."
        )
    _check_certificate("server_cert", certificate)
    if authority:
        _check_certificate("custom_ca", authority)
    _check_key(key, certificate)
    return grpc.ssl_server_credentials(
        [(key.encode(), certificate.encode())],
        authority.encode() or None,
        config["client_verify"],
    )


def _check_certificate(name: str, text: str) -> None:
    """Refuses a text that holds no certificate.

    Raises:
        ConfigError: names the field.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except (ssl.SSLError, TypeError, ValueError):
        raise ConfigError(
            f"--ssl_config_file: {name} is not a certificate in PEM format. Expected the content "
            r"of the file as one text, with \n for each line break."
        ) from None


def _check_key(key: str, certificate: str) -> None:
    """Refuses a private key that cannot be read or is not the certificate's.

    Raises:
        ConfigError: says which.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Python reads keys from files alone. Nobody else can read the folder, which is removed at once.
    with tempfile.TemporaryDirectory() as folder:
        certificate_file, key_file = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        certificate_file.write_text(certificate, encoding="utf-8")
        key_file.write_text(key, encoding="utf-8")
        try:
            # Without a password Python would ask for that of an encrypted key at the terminal.
            context.load_cert_chain(certificate_file, key_file, password="")
        except (ssl.SSLError, ValueError) as error:
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                raise ConfigError(
                    "--ssl_config_file: server_key is not the key of server_cert. Give the pair "
                    "that was made together."
                ) from None
            raise ConfigError(
                "--ssl_config_file: server_key is not a private key in PEM format without a "
                "password. Expected the content of the key's file as one text, with "
                r"\n for each line break."
            ) from None
