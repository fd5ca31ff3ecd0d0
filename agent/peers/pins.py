"""The peers that a person has trusted (`inarvl peer trust`), in a file that the running agent reads.

1. A pin names a peer by its id and the SHA-256 of its certificate. Its URL may change, since the certificate
   proves who it is.
2. A peer without TLS proves nothing: its pin has no fingerprint, and holds for its exact URL only.
3. The file is replaced as a whole, belongs to the owner of its folder, and nobody else may read it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloud.peer import BadPeerRecord, PeerRecord
from inarvl.errors import InarvlError
from inarvl.watched_files import WatchedFiles
from vlm.client_tls import read_fingerprint

log = logging.getLogger(__name__)

NAME = "trusted-peers.json"
VERSION = 1
MAX_PINS = 256
MAX_BYTES = 2**20


class BadPins(InarvlError):
    """The file of trusted peers cannot be read or written."""

    code = "bad_pins"


@dataclass(frozen=True)
class Pin:
    """One trusted peer.

    Attributes:
        url: where it was when it was trusted.
        fingerprint: SHA-256 of its certificate; None for a peer without TLS.
        subject: whom the certificate names, for people.
    """

    id: str
    url: str
    fingerprint: str | None
    subject: str = ""


class PinFile:
    """The file with all pins, in the agent's state directory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._watched = WatchedFiles([self.path])
        self._pins: tuple[Pin, ...] = ()

    def changed(self) -> bool:
        """Reads the file again if it has changed; returns whether its pins are others now.

        If it cannot be read, no pin holds.
        """
        if not self._watched.changed():
            return False
        before = self._pins
        try:
            self._pins = self.load()
        except BadPins as error:
            log.error("no peer is trusted by `inarvl peer trust` now: %s", error)
            self._pins = ()
        return self._pins != before

    def pins(self) -> tuple[Pin, ...]:
        """Returns the pins that were read last."""
        return self._pins

    def load(self) -> tuple[Pin, ...]:
        """Returns the pins in the file; none if there is no file.

        Raises:
            BadPins: it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return _pins(json.loads(file.read(MAX_BYTES)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise BadPins(f"{self.path} cannot be read ({error.strerror}): run as root") from None
        except (ValueError, TypeError, KeyError, RecursionError, BadPeerRecord):
            raise BadPins(
                f"{self.path} is no list of trusted peers: remove it, and trust the peers again"
            ) from None

    def add(self, pin: Pin) -> None:
        """Adds a pin, which replaces those of the same peer.

        Raises:
            BadPins: the file cannot be read or written.
        """
        self._write([*(one for one in self.load() if one.id != pin.id), pin])

    def remove(self, peer_id: str) -> bool:
        """Removes the pins of a peer; returns whether it had any.

        Raises:
            BadPins: the file cannot be read or written.
        """
        pins = self.load()
        kept = [pin for pin in pins if pin.id != peer_id]
        if len(kept) < len(pins):
            self._write(kept)
        return len(kept) < len(pins)

    def _write(self, pins: Iterable[Pin]) -> None:
        content = {"version": VERSION, "pins": [asdict(pin) for pin in pins]}
        if len(content["pins"]) > MAX_PINS:  # type: ignore[arg-type]
            raise BadPins(f"{MAX_PINS} peers are trusted already: remove one with `inarvl peer distrust`")
        folder = self.path.parent
        try:
            handle, name = tempfile.mkstemp(prefix=f".{NAME}-", dir=folder)  # with mode 0600
        except OSError as error:
            raise BadPins(f"{folder} cannot be written ({error.strerror}): run as root") from None
        try:
            with os.fdopen(handle, "w") as file:
                owner = folder.stat()
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            raise BadPins(f"{self.path} cannot be written ({error.strerror}): check the disk") from None


def _pins(content: Any) -> tuple[Pin, ...]:
    if content["version"] != VERSION:
        raise ValueError
    return tuple(_pin(**entry) for entry in content["pins"])


def _pin(id: str, url: str, fingerprint: str | None, subject: str) -> Pin:  # noqa: A002 # the key in the file
    PeerRecord(id, url)
    return Pin(id, url, None if fingerprint is None else read_fingerprint(fingerprint), str(subject))
