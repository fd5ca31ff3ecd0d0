"""Who may use a server: the options, and whether they suffice for the address that it listens on.

1. A server on a unix socket or on loopback is reached from this machine only.
2. On any other address it needs a file of tokens or a CA of client certificates. `insecure` permits an open
   one, for a demo or a home lab.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from vlm.access_check import AccessCheck
from vlm.allowed_hosts import AllowedHosts
from vlm.bearer_tokens import BearerTokens
from vlm.errors import ListenError
from vlm.server_tls import ServerTls
from vlm.sockets import host_and_port, is_exposed

log = logging.getLogger(__name__)

RENEW = timedelta(days=30)


@dataclass(frozen=True)
class ServerAccess:
    """Who may use a server.

    Attributes:
        tls: None for plain http.
        token_file: tokens, of which every request needs one; None if requests need none.
        allowed_hosts: names and addresses under which clients reach it, besides its own.
        insecure: whether an address that other machines reach may be open to all.
    """

    tls: ServerTls | None = None
    token_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    insecure: bool = False

    def check_address(self, address: str) -> None:
        """Checks that a server may listen on `address`: `unix:/path` or `host:port`.

        Raises:
            ListenError: other machines reach it, and anybody there could use the server.
        """
        if not is_exposed(address):
            return
        if self.token_file is None and (self.tls is None or self.tls.client_ca is None):
            if not self.insecure:
                raise ListenError(
                    f"other machines reach {address}, and anybody there could use this server: give "
                    "--token-file FILE (`inarvl-cloud keygen token FILE` makes it), or --tls FOLDER and "
                    "--client-ca FILE (`inarvl-cloud keygen --help`), or --insecure for a demo or a home "
                    "lab; or listen on 127.0.0.1 or unix:/path"
                )
            log.warning("everybody who reaches %s can use this server (--insecure)", address)
        elif self.tls is None:
            log.warning("tokens and images cross the network unencrypted: give --tls FOLDER too")

    def request_check(self, address: str, *, now: datetime | None = None) -> AccessCheck:
        """Returns what checks the requests of a server that listens on `address`.

        Raises:
            BadTokenFile: the tokens cannot be read.
            BadTlsFile: the certificate cannot be read, or is none of a server.
            ListenError: one of `allowed_hosts` is invalid.
        """
        tokens = None
        if self.token_file is not None:
            tokens = BearerTokens(self.token_file)
            _warn_if_open(self.token_file)
        hosts = [*self.allowed_hosts]
        if self.tls is not None:
            _warn_if_open(self.tls.key_file)
            certificate = self.tls.certificate()
            hosts += [host for host in certificate.hosts if not host.startswith("*")]
            left = certificate.ends_at - (now or datetime.now(timezone.utc))
            if left < RENEW:
                state = "has ended" if left < timedelta(0) else f"ends in {left.days} days"
                log.warning("%s %s: renew it (`inarvl-cloud keygen renew`)", self.tls.cert_file, state)
        if address.startswith("unix:"):
            return AccessCheck(tokens)
        try:
            return AccessCheck(tokens, AllowedHosts([*hosts, host_and_port(address)[0] or "localhost"]))
        except ValueError as error:
            raise ListenError(f"--allowed-host: {error}") from None


def _warn_if_open(secret: Path) -> None:
    if secret.exists() and secret.stat().st_mode & 0o004:
        log.warning("every user of this machine can read %s: chmod o= %s", secret, secret)
