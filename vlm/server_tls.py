"""The TLS of a server: its certificate, its key, and the CA of its clients' certificates."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from inarvl.tls_files import BadTlsFile, server_context
from inarvl.watched_files import WatchedFiles
from vlm.certificate import Certificate

log = logging.getLogger(__name__)

CERT, KEY = "cert.pem", "key.pem"


@dataclass(frozen=True)
class ServerTls:
    """The files of a server's TLS.

    Attributes:
        client_ca: certificates of the CAs that sign those of clients, which every client then needs; None if
            clients need no certificate.
    """

    cert_file: Path
    key_file: Path
    client_ca: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path, client_ca: Path | None = None) -> ServerTls:
        """Returns the TLS with the files that `inarvl-cloud keygen` has written into a folder."""
        return cls(folder / CERT, folder / KEY, client_ca)

    def certificate(self) -> Certificate:
        """Returns the server's certificate.

        Raises:
            BadTlsFile: it cannot be read, or is one of a device.
        """
        certificate = Certificate.read(self.cert_file)
        if not certificate.is_for_servers:
            raise BadTlsFile(f"{self.cert_file} is a certificate of a device: use one of a peer")
        return certificate


class ServerContext:
    """The context of new connections, which follows changes of the files.

    Raises:
        BadTlsFile: a file cannot be used.
    """

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        paths = (tls.cert_file, tls.key_file, tls.client_ca)
        self._files = WatchedFiles([path for path in paths if path is not None])
        self._files.changed()
        self._context = server_context(tls.cert_file, tls.key_file, tls.client_ca)

    def current(self) -> ssl.SSLContext:
        """Returns the context with the files as they are; the previous one if they cannot be used."""
        if self._files.changed():
            try:
                self._tls.certificate()
                self._context = server_context(self._tls.cert_file, self._tls.key_file, self._tls.client_ca)
            except (BadTlsFile, OSError) as error:  # OSError: a file vanishes while it is read
                log.error("the certificate that was read before stays in use: %s", error)
        return self._context
