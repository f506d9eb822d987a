"""TLS of the venue: a certificate of the settings, or a test authority made on the spot whose key is thrown away.

The authority signs one certificate for the names under which Bybit's clients look for it, so that a client that trusts the file and
resolves the names to this machine cannot tell the difference. Nobody can sign another one with it: its key is never written.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.venue.settings import PaperSettings
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX

HOSTS: Final = tuple(
    f"{host}{environment}.{domain}"
    for domain in ("bybit.com", "bytick.com")
    for environment in ("", "-testnet", "-demo")
    for host in ("api", "stream")
)
"""Names of the real venue that the certificate carries, beside `localhost` and the loopback addresses."""
CA_FILE: Final = "ca.pem"
_CERTIFICATE_FILE: Final = "server.pem"
_KEY_FILE: Final = "server-key.pem"
_LIFE: Final = timedelta(days=30)
_SPARE: Final = timedelta(days=1)
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class Tls:
    """What the server speaks with, and the file that a client must trust (None for a certificate of the settings)."""

    context: ssl.SSLContext
    ca_file: Path | None


def open_tls(paper: PaperSettings) -> Tls | None:
    """Give what the settings ask for; None for no TLS.

    Raises:
        ConfigurationError: a certificate that cannot be used, or a folder that cannot be written.
    """
    if paper.tls_certificate is not None and paper.tls_key is not None:
        return Tls(_context(paper.tls_certificate, paper.tls_key), None)
    if paper.tls_folder is None:
        return None
    folder = paper.tls_folder.absolute()
    try:
        if not _is_fresh(folder):
            _write(folder)
    except OSError as error:
        raise ConfigurationError(
            f"{PREFIX}PAPER__TLS_FOLDER", f"{folder} {error.strerror}", "name a folder that can be written"
        ) from error
    return Tls(_context(folder / _CERTIFICATE_FILE, folder / _KEY_FILE), folder / CA_FILE)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or str(error)
        raise ConfigurationError(
            f"{PREFIX}PAPER__TLS_CERTIFICATE",
            f"{certificate} with key {key} cannot be used ({why})",
            "give a PEM certificate and its key",
        ) from error
    return context


def _is_fresh(folder: Path) -> bool:
    """Answer whether an earlier start left a certificate that lasts and whose authority clients already trust."""
    paths = [folder / name for name in (CA_FILE, _CERTIFICATE_FILE, _KEY_FILE)]
    if not all(path.exists() for path in paths):
        return False
    try:
        authority, server = (x509.load_pem_x509_certificate(path.read_bytes()) for path in paths[:2])
        server.verify_directly_issued_by(authority)
        key = load_pem_private_key(paths[2].read_bytes(), None)
    except (ValueError, TypeError, InvalidSignature):
        return False
    if key.public_key() != server.public_key():
        return False
    return server.not_valid_after_utc > datetime.now(UTC) + _SPARE


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Undertow paper venue: test authority")])
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in ("localhost", *HOSTS)]
    names += [x509.IPAddress(IPv4Address("127.0.0.1")), x509.IPAddress(IPv6Address("::1"))]
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Undertow paper venue")])
    server = (
        _certificate(server_name, authority_name, server_key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, SHA256())
    )
    secret = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _replace(folder / _KEY_FILE, secret)
    _replace(folder / _CERTIFICATE_FILE, server.public_bytes(Encoding.PEM))
    _replace(folder / CA_FILE, authority.public_bytes(Encoding.PEM))


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SPARE)
        .not_valid_after(now + _LIFE)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
        file.write(content)
    fresh.replace(path)
