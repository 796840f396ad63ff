"""The server that a verb of `ser` asks: its address and its TLS files.

All verbs share these options, so that they mean the same everywhere.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.errors import ConfigError

if TYPE_CHECKING:
    from serving.client.client import SerClient

RootCertificate = Annotated[
    Path | None,
    typer.Option(help="PEM file of the server's certificate authority, for TLS."),
]
Certificate = Annotated[
    Path | None, typer.Option(help="PEM file that identifies this client, for mutual TLS.")
]
Key = Annotated[Path | None, typer.Option(help="PEM file with the private key of --certificate.")]
UncertainBelow = Annotated[
    float,
    typer.Option(min=0, max=1, help="Report 'uncertain' where no class reaches this probability."),
]


@dataclass(frozen=True)
class Endpoint:
    """The address of a server, and the files that a connection to it needs.

    Args:
        address: str. `host:port` of its gRPC.
        root_certificate: path of a PEM file, for TLS; None connects without encryption.
        certificate, key: paths of PEM files that identify the client, for mutual TLS.

    Raises:
        ConfigError: the address is none, a file is missing, or files that belong together are not
            all given.
    """

    address: str
    root_certificate: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        _check_address(self.address)
        files = {
            "--root-certificate": self.root_certificate,
            "--certificate": self.certificate,
            "--key": self.key,
        }
        for option, path in files.items():
            if path is not None and not path.is_file():
                raise ConfigError(
                    f"{option} {path}: found no file, expected one in PEM format. Ask the "
                    "operator of the server for it."
                )
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("found one of --certificate and --key, expected both or none.")
        if self.certificate is not None and self.root_certificate is None:
            raise ConfigError(
                "--certificate: found no --root-certificate, without which there is no TLS. Give "
                "the PEM file of the server's certificate authority as well."
            )

    def client(self, model: str, version: int | None = None) -> "SerClient":
        """Returns a client of one of the server's models; None asks the newest version."""
        # Listing the verbs must not load gRPC.
        from serving.client.client import SerClient

        return SerClient(
            self.address,
            model,
            version=version,
            root_certificate=self.root_certificate,
            certificate=self.certificate,
            key=self.key,
        )


def _check_address(address: str) -> None:
    """Refuses what is no `host:port`, such as the address of a web page.

    Raises:
        ConfigError: says what it should be.
    """
    scheme, separator, rest = address.rpartition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    if separator:
        # 8501 is REST's port by default, and gRPC's is one below.
        meant = f"{host or port}:{8500 if port in ('8501', '80', '443') or not host else port}"
        raise ConfigError(
            f"--server {address}: found an address with {scheme}://, expected host:port of gRPC; "
            f"did you mean {meant}?"
        )
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16 or "/" in rest:
        raise ConfigError(
            f"--server {address}: found no host:port, expected one such as localhost:8500."
        )


def endpoint_of(
    server: str | None, root_certificate: Path | None, certificate: Path | None, key: Path | None
) -> Endpoint | None:
    """Returns the server in the options of a verb, None without one.

    Raises:
        ConfigError: files without a server, or as of `Endpoint`.
    """
    if server is not None:
        return Endpoint(server, root_certificate, certificate, key)
    if root_certificate or certificate or key:
        raise ConfigError(
            "--root-certificate, --certificate and --key are for a --server, and none is given."
        )
    return None
