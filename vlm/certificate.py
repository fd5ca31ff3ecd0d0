"""What a certificate says: names, end, purpose and fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from inarvl.tls_files import BadTlsFile


@dataclass(frozen=True)
class Certificate:
    """A certificate.

    Attributes:
        hosts: names and addresses of the server.
        ends_at: when it ends to be valid.
        is_for_servers, is_for_clients: whether it may be used so.
        fingerprint: SHA-256 of the certificate, as 64 hexadecimal digits.
    """

    hosts: tuple[str, ...]
    ends_at: datetime
    is_for_servers: bool
    is_for_clients: bool
    fingerprint: str

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Reads the first certificate in a PEM file.

        Raises:
            BadTlsFile: there is none.
        """
        try:
            return cls.of(x509.load_pem_x509_certificate(path.read_bytes()))
        except OSError as error:
            raise BadTlsFile(f"{path} cannot be read ({error.strerror}): correct its path") from None
        except ValueError:
            raise BadTlsFile(f"{path} has no certificate: write it as PEM") from None

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Certificate:
        """Returns what `certificate` says."""
        return cls(
            hosts_of(certificate),
            certificate.not_valid_after_utc,
            _may(certificate, ExtendedKeyUsageOID.SERVER_AUTH),
            _may(certificate, ExtendedKeyUsageOID.CLIENT_AUTH),
            certificate.fingerprint(hashes.SHA256()).hex(),
        )


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Returns the names and addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))


def _may(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return purpose in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
