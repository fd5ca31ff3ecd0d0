"""What a person sees of a server before it is trusted: its certificate. Nothing is asked of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio.streams.tls import TLSAttribute, TLSStream

from inarvl.connection_problem import connection_problem
from inarvl.tls_files import client_context
from vlm.client_tls import ClientTls
from vlm.connection import AddressCheck
from vlm.errors import VlmUnavailable

if TYPE_CHECKING:
    from cryptography import x509

CONNECT_S = 10.0


@dataclass(frozen=True)
class SeenCertificate:
    """A certificate that a server showed, whoever signed it.

    Attributes:
        subject, issuer: whom it names, and who signed it, as they claim.
        hosts: names and addresses that it is for.
        fingerprint: its SHA-256, as 64 hexadecimal digits.
    """

    subject: str
    issuer: str
    hosts: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    fingerprint: str

    @classmethod
    def read(cls, certificate: x509.Certificate) -> SeenCertificate:
        """Returns what a certificate says."""
        from cryptography.hazmat.primitives.hashes import SHA256  # 8 MB that the running agent does not need

        from vlm.certificate import hosts_of

        return cls(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            hosts_of(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            certificate.fingerprint(SHA256()).hex(),
        )


async def seen_certificate(
    url: str, address_problem: AddressCheck, own: ClientTls | None = None
) -> SeenCertificate:
    """Makes a TLS connection to a server, and returns the certificate that it shows.

    Args:
        address_problem: checks each address before it is connected to.
        own: the device's certificate, if the server requires one.

    Raises:
        VlmUnavailable: it cannot be reached, or does not use TLS.
        BadTlsFile: a file of `own` cannot be used.
    """
    from cryptography import x509

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = client_context(None, own.cert_file if own else None, own.key_file if own else None)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with anyio.fail_after(CONNECT_S):
            address = str((await anyio.getaddrinfo(host, port))[0][4][0])
            problem = address_problem(address, port)
            if problem is not None:
                raise VlmUnavailable(f"cannot reach {url}: it {problem}", connected=False)
            async with await anyio.connect_tcp(address, port) as connection:
                stream = await TLSStream.wrap(
                    connection, hostname=host, ssl_context=context, standard_compatible=False
                )
                shown = stream.extra(TLSAttribute.peer_certificate_binary)
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
        raise VlmUnavailable(f"cannot reach {url}: {connection_problem(cause)}", connected=False) from None
    if shown is None:
        raise VlmUnavailable(f"{url} shows no certificate", connected=False)
    try:
        return SeenCertificate.read(x509.load_der_x509_certificate(shown))
    except ValueError:
        raise VlmUnavailable(f"{url} shows a certificate that cannot be read", connected=False) from None
