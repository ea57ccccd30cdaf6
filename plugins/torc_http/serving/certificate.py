"""A certificate for this server: the one given, or a self-signed one that is made once (S11)."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from torc_core.errors import BadValue, Unavailable
from torc_core.record import record

if TYPE_CHECKING:
    from cryptography import x509

DAYS = 3650
"""Pinned by its fingerprint and renewed by deleting the file."""


@record(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Files for TLS, and what clients pin."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, in lower-case hexadecimal digits."""


def given_certificate(certificate: Path, key: Path) -> Certificate:
    """A certificate of the user's.

    Raises
    ------
    BadValue
        If a file is missing or holds something else, or others may read the key.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        one = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise BadValue(f"the certificate '{certificate}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadValue(f"'{certificate}' holds no certificate in PEM form") from error
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise BadValue(f"the key '{key}' cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise BadValue(f"the key '{key}' is open to others; run 'chmod 600 {key}'")
    fingerprint = sha256(one.public_bytes(Encoding.DER)).hexdigest()
    return Certificate(certificate=certificate, key=key, fingerprint=fingerprint)


def own_certificate(beside: Path, names: Iterable[str]) -> Certificate:
    """The self-signed certificate beside a database: made at the first call, 0600, then kept.

    Raises
    ------
    Unavailable
        If it cannot be written.
    """
    certificate = beside.with_name(beside.name + ".tls-cert.pem")
    key = beside.with_name(beside.name + ".tls-key.pem")
    if not (certificate.exists() and key.exists()):
        try:
            _make(certificate, key, sorted(set(names)))
        except OSError as error:
            raise Unavailable(
                f"no certificate can be written to '{certificate.parent}': {error.strerror}"
            ) from error
    return given_certificate(certificate, key)


def _make(certificate: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "torc")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(certificate, built.public_bytes(Encoding.PEM))


def _name(one: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(one.partition("%")[0]))
    except ValueError:
        return x509.DNSName(one)


def _write(path: Path, data: bytes) -> None:
    """Write a private file whole (D3)."""
    fresh = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
