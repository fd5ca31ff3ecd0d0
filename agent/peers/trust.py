"""Decides which discovered peers are trusted. A peer that is not trusted is sent nothing.

1. A peer that `inarvl peer trust` has pinned is trusted by that pin alone. If its certificate is another one,
   it is not trusted.
2. With `discovery.trust: none`, no other peer is.
3. With a CA or fingerprints in `discovery.trust`, a peer is trusted once a TLS connection has shown that its
   certificate is signed by the CA and is for its host, or has one of the fingerprints.
4. With `discovery.trust: any`, all are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.config.peer_settings import DiscoveryTrust
from agent.peers.pins import Pin
from cloud.peer import PeerRecord
from vlm.client_tls import ClientTls

UNKNOWN = "nobody has trusted it: run `inarvl peer trust {}`, or name it in the site file"
PLAIN = (
    "it does not use TLS, so it cannot prove who it is: serve it with TLS, or name it in the site file with "
    "allow_plaintext: true"
)
PLAIN_PINNED = "it was trusted by its certificate, and is announced without TLS now"
MOVED = "it was trusted at {}, without TLS, and is announced at another URL now: run `inarvl peer trust {}`"
BY_PIN = "`inarvl peer trust` has pinned its certificate"
BY_PLAIN_PIN = "`inarvl peer trust` has pinned its URL; nothing proves who answers there"
BY_CA = "its certificate is signed by the CA in discovery.trust"
BY_FINGERPRINT = "its certificate has a fingerprint in discovery.trust"
BY_ANY = "discovery.trust is any"
UNPROVEN = "its certificate was not checked yet"


@dataclass(frozen=True)
class Way:
    """One way in which a peer may be connected to.

    Attributes:
        tls: what the connection must prove; None for the system's CAs, or no TLS.
        reason: why the peer is trusted after that.
        content: digest of the TLS files.
    """

    tls: ClientTls | None
    reason: str
    content: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a peer may be connected to.

    Attributes:
        ways: possible ways, of which each is tried; without any, the peer is sent nothing.
        reason: why it is trusted, or not, before the first connection.
        trusted: whether it is trusted before the first connection.
        pinned: whether a person has named it.
    """

    ways: tuple[Way, ...]
    reason: str
    trusted: bool = False
    pinned: bool = False


class Trust:
    """The rules of one site.

    Args:
        settings: `discovery.trust` of the site file.

    Raises:
        BadTlsFile: one of its TLS files cannot be used.
    """

    def __init__(self, settings: DiscoveryTrust | None = None, pins: Iterable[Pin] = ()) -> None:
        self._settings = settings = settings or DiscoveryTrust.model_validate("none")
        self._pins = tuple(pins)
        self._own = ClientTls(None, settings.cert_file, settings.key_file)
        self._ways: tuple[Way, ...] = ()
        if settings.ca_file is not None:
            self._ways += (_way(settings.tls(), BY_CA),)
        if settings.fingerprints:
            self._ways += (_way(replace(self._own, fingerprints=settings.fingerprints), BY_FINGERPRINT),)
        if settings.cert_file is not None:
            self._own.context()

    @property
    def any(self) -> bool:
        """Whether every peer is trusted."""
        return self._settings.mode == "any"

    def judge(self, record: PeerRecord) -> Verdict:
        """Returns whether a discovered peer may be connected to, and how."""
        pins = [pin for pin in self._pins if pin.id == record.id]
        if pins:
            return self._by_pin(record, pins[0])
        if self.any:
            return Verdict((Way(None, BY_ANY),), BY_ANY, trusted=True)
        if not record.tls and self._ways:
            return Verdict((), PLAIN)
        if self._ways:
            return Verdict(self._ways, UNPROVEN)
        return Verdict((), UNKNOWN.format(record.id))

    def _by_pin(self, record: PeerRecord, pin: Pin) -> Verdict:
        if pin.fingerprint is not None:
            if not record.tls:
                return Verdict((), PLAIN_PINNED)
            tls = replace(self._own, fingerprint=pin.fingerprint)
            return Verdict((_way(tls, BY_PIN),), UNPROVEN, pinned=True)
        if not (self._settings.allow_plaintext or self.any):
            return Verdict((), PLAIN)
        if record.url != pin.url:
            return Verdict((), MOVED.format(pin.url, pin.id))
        return Verdict((Way(None, BY_PLAIN_PIN),), BY_PLAIN_PIN, trusted=True, pinned=True)


def _way(tls: ClientTls, reason: str) -> Way:
    tls.context()  # names a file that cannot be used
    return Way(tls, reason, tls.content())
