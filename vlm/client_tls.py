"""The TLS of a client: by what it knows the server, and its own certificate.

1. Without a fingerprint, the server's certificate must be signed by a known CA, and be for the server's host
   name.
2. With fingerprints, it must be one of these certificates. A CA is then not needed: if `ca_file` is given
   too, both must hold.
3. The server is checked before the first byte of a request is sent.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import aiohttp

from inarvl.tls_files import BadTlsFile, client_context

FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ClientTls:
    """The TLS settings of a client.

    Attributes:
        ca_file: certificates of the CAs that sign the server's; None for those of the system.
        cert_file: the client's own certificate, for a server that requires one.
        key_file: the key of that certificate; None if it is in the same file.
        fingerprint: SHA-256 of the server's certificate, as 64 hexadecimal digits; None for any.
        fingerprints: further ones, any of which the server may have.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    fingerprint: str | None = None
    fingerprints: tuple[str, ...] = ()

    @property
    def pinned(self) -> frozenset[str]:
        """The fingerprints that the server may have; empty for any."""
        return frozenset((*self.fingerprints, *([] if self.fingerprint is None else [self.fingerprint])))

    def content(self) -> str:
        """Returns a digest of the files' content, which changes when a file is replaced.

        Raises:
            BadTlsFile: a file cannot be read.
        """
        digest = hashlib.sha256()
        for path in (self.ca_file, self.cert_file, self.key_file):
            try:
                part = b"" if path is None else path.read_bytes()
            except OSError as error:
                raise BadTlsFile(
                    f"{path} cannot be read ({error.strerror}): correct its path, or let this process read it"
                ) from None
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def context(self) -> ssl.SSLContext:
        """Returns the context of connections with these settings.

        Raises:
            BadTlsFile: a file is missing, not readable, locked by a password, or has other content.
        """
        return _context(self, self.content())

    def check(self) -> aiohttp.Fingerprint | None:
        """Returns the check of the server's fingerprint; None if it may have any."""
        return PinnedFingerprints(self.pinned) if self.pinned else None


class PinnedFingerprints(aiohttp.Fingerprint):
    """Accepts the servers whose certificate has one of several fingerprints."""

    def __init__(self, fingerprints: Collection[str]) -> None:
        self._all = tuple(aiohttp.Fingerprint(bytes.fromhex(one)) for one in sorted(fingerprints))
        super().__init__(self._all[0].fingerprint)

    def check(self, transport: object) -> None:
        """Raises ServerFingerprintMismatch if the certificate of a connection has another one."""
        for one in self._all:
            try:
                one.check(transport)  # type: ignore[arg-type]
            except aiohttp.ServerFingerprintMismatch as error:
                mismatch = error
            else:
                return
        raise mismatch


def read_fingerprint(text: str) -> str:
    """Returns a fingerprint as 64 lower-case hexadecimal digits.

    Raises:
        ValueError: it is none.
    """
    digits = text.replace(":", "").strip().lower()
    if not FINGERPRINT.fullmatch(digits):
        raise ValueError(
            "must be the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons"
        )
    return digits


@lru_cache(maxsize=64)
def _context(tls: ClientTls, _content: str) -> ssl.SSLContext:
    context = client_context(tls.ca_file, tls.cert_file, tls.key_file)
    context.set_alpn_protocols(["http/1.1"])
    if tls.pinned and tls.ca_file is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint is checked instead
    return context
