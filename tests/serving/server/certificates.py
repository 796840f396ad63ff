"""Certificates of an authority, a server and a client, valid for a day."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificates(folder: Path) -> dict[str, Path]:
    """Writes ca.pem, and key and certificate of server and client; returns paths by name."""
    authority, authority_key = _signed("ca")
    files = {"ca.pem": _pem(authority)}
    for name in ("server", "client"):
        certificate, key = _signed(name, authority, authority_key)
        files[f"{name}.pem"], files[f"{name}.key"] = _pem(certificate), _key(key)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def write_ssl_config(folder: Path) -> tuple[Path, dict[str, Path]]:
    """Writes the configuration of a server that accepts only clients with a certificate.

    Returns:
        (path of the ssl.config, the files as options of `ser` and arguments of `SerClient`).
    """
    files = write_certificates(folder)
    lines = {"server_key": "server.key", "server_cert": "server.pem", "custom_ca": "ca.pem"}
    texts = [f"{name}: {files[file].read_text()!r}" for name, file in lines.items()]
    config = folder / "ssl.config"
    config.write_text("\n".join([*texts, "client_verify: true"]))
    client = {"certificate": files["client.pem"], "key": files["client.key"]}
    return config, {"root_certificate": files["ca.pem"], **client}


def _signed(name, issuer=None, issuer_key=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key(key):
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
