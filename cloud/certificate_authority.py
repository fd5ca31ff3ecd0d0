"""A certificate authority of this site: signs certificates of peers and devices, and revokes them.

1. A certificate of a peer is for servers only, and one of a device for clients only: whoever has a device's
   key cannot pass for a peer.
2. Keys are on the curve P-256. The CA's key stays in its folder.
3. Revoked certificates are listed behind the CA's certificate, in the same file: a server or device that has
   the file knows them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from inarvl.errors import InarvlError

CA, CA_KEY = "ca.pem", "ca-key.pem"
CA_LIFETIME = timedelta(days=3650)
SKEW = timedelta(days=1)  # of the clocks of others
SECRET, PUBLIC = 0o600, 0o644


class KeygenFailed(InarvlError):
    """A key or a certificate cannot be made; the message says what to do."""

    code = "keygen_failed"


@dataclass(frozen=True)
class Issued:
    """A new key with its certificate, both as PEM."""

    key: bytes
    certificate: bytes


class CertificateAuthority:
    """The CA in a folder."""

    def __init__(
        self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, revoked: set[int]
    ) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key
        self._revoked = revoked

    @classmethod
    def create(cls, folder: Path, name: str, now: datetime) -> CertificateAuthority:
        """Makes a CA.

        Raises:
            KeygenFailed: the folder has one already, or cannot be written.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = _key_usage(signs_certificates=True)
        builder = _builder(subject, subject, key.public_key(), now, now + CA_LIFETIME)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        make_folder(folder)
        if (folder / CA).exists():
            raise KeygenFailed(
                f"{folder / CA} exists, and what it has signed would be worth nothing with another: use it, "
                "or name another --folder"
            )
        write_new(folder / CA_KEY, _pem(key), SECRET)
        write_new(folder / CA, certificate.public_bytes(Encoding.PEM), PUBLIC)
        return cls(folder, certificate, key, set())

    @classmethod
    def open(cls, folder: Path) -> CertificateAuthority:
        """Reads the CA in a folder.

        Raises:
            KeygenFailed: there is none.
        """
        try:
            public, private = (folder / CA).read_bytes(), (folder / CA_KEY).read_bytes()
        except OSError as error:
            raise KeygenFailed(
                f"no CA in {folder}/ ({error.strerror}): make one with `inarvl-cloud keygen ca`, or name the "
                "--folder that has it"
            ) from None
        try:
            certificate = x509.load_pem_x509_certificate(public)
            key = load_pem_private_key(private, None)
            known = x509.load_pem_x509_crl(public) if b"X509 CRL" in public else ()
        except (ValueError, TypeError) as error:  # TypeError: the key has a password
            raise KeygenFailed(f"{folder}/{CA} and {CA_KEY} are no CA with its key ({error})") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise KeygenFailed(f"{folder}/{CA_KEY} is not the key of {CA}")
        return cls(folder, certificate, key, {entry.serial_number for entry in known})

    @property
    def ends_at(self) -> datetime:
        """When the CA's certificate ends, and all that it has signed."""
        return self._certificate.not_valid_after_utc

    def pem(self) -> bytes:
        """Returns the content of the CA's file: its certificate and the list of revoked ones."""
        return (self._folder / CA).read_bytes()

    def issue(self, name: str, hosts: Sequence[str], now: datetime, days: int) -> Issued:
        """Makes a key and its certificate.

        Args:
            hosts: names and addresses of a peer; none for a device.
            days: how long it is valid, at most as long as the CA.

        Raises:
            KeygenFailed: the CA has ended.
        """
        if self.ends_at <= now:
            raise KeygenFailed(f"the CA in {self._folder}/ has ended: make another in another --folder")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        ends_at = min(now + timedelta(days=days), self.ends_at)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(subject, self._certificate.subject, key.public_key(), now, ends_at)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(authority, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(_pem(key), certificate.public_bytes(Encoding.PEM))

    def revoke(self, certificate: x509.Certificate, now: datetime) -> None:
        """Adds a certificate to the revoked ones, in the CA's file.

        Raises:
            KeygenFailed: another CA has signed it.
        """
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:
            raise KeygenFailed(
                f"another CA has signed this certificate, not that in {self._folder}/"
            ) from None
        self._revoked.add(certificate.serial_number)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - SKEW)
            .next_update(self.ends_at)
        )
        for serial in sorted(self._revoked):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - SKEW)
            builder = builder.add_revoked_certificate(entry.build())
        crl = builder.sign(self._key, hashes.SHA256())
        content = self._certificate.public_bytes(Encoding.PEM) + crl.public_bytes(Encoding.PEM)
        replace(self._folder / CA, content, PUBLIC)


def make_folder(folder: Path) -> None:
    """Makes a folder that only its owner can read.

    Raises:
        KeygenFailed: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True, parents=True)
    except OSError as error:
        raise KeygenFailed(f"{folder} cannot be made ({error.strerror}): name another --folder") from None


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Writes a file that does not exist yet.

    Raises:
        KeygenFailed: it exists, or cannot be written.
    """
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123
            file.write(content)
    except FileExistsError:
        raise KeygenFailed(f"{path} exists: remove it first, or choose another name") from None
    except OSError as error:
        raise KeygenFailed(f"{path} cannot be written: {error.strerror}") from None


def replace(path: Path, content: bytes, mode: int) -> None:
    """Writes a file in one step, so that a program that reads it sees the old or the new content.

    Raises:
        KeygenFailed: it cannot be written.
    """
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    write_new(new, content, mode)
    new.replace(path)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    ends_at: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(timezone.utc) - SKEW)
        .not_valid_after(ends_at.astimezone(timezone.utc))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
