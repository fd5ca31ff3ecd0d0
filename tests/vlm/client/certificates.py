"""Certificates of servers and devices, and TLS contexts of servers that use them."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

trustme = pytest.importorskip("trustme")
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)


@dataclass
class Certificates:
    """A certificate authority of the site, and one that nobody there knows.

    Attributes:
        folder: where the files are written.
    """

    folder: Path
    ca: Any = field(default_factory=trustme.CA)
    other_ca: Any = field(default_factory=lambda: trustme.CA(organization_name="other"))

    @property
    def ca_file(self) -> Path:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(path)
        return path

    def server(
        self, *hosts: str, by: Any = None, expired: bool = False, wants_client: bool = False
    ) -> ServerCertificate:
        """Returns a new certificate of a server for these hosts."""
        options = {"not_after": PAST + datetime.timedelta(days=1), "not_before": PAST} if expired else {}
        issued = (by or self.ca).issue_cert(*hosts, **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        if wants_client:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
        return ServerCertificate(context, hashlib.sha256(der).hexdigest(), issued)

    def device(self) -> dict[str, Path]:
        """Issues a device's certificate; returns its files as a site file names them."""
        issued = self.ca.issue_cert("device-1")
        files = {"cert_file": self.folder / "device.pem", "key_file": self.folder / "device.key"}
        issued.cert_chain_pems[0].write_to_path(files["cert_file"])
        issued.private_key_pem.write_to_path(files["key_file"])
        return files


@dataclass(frozen=True)
class ServerCertificate:
    """A server's certificate.

    Attributes:
        context: of a server that has it.
        fingerprint: its SHA-256.
    """

    context: ssl.SSLContext
    fingerprint: str
    _issued: Any

    def write(self, cert: Path, key: Path) -> None:
        """Writes the certificate and its key as PEM."""
        self._issued.cert_chain_pems[0].write_to_path(cert)
        self._issued.private_key_pem.write_to_path(key)
