"""A DNS server with one address, which can stop answering."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class DnsServer:
    """Answers every A query over UDP with `address`, and no query while `silent`."""

    def __init__(self, host: str, address: str, port: int = 53) -> None:
        self.silent = False
        self._address = socket.inet_aton(address)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        self._socket.settimeout(0.1)  # a socket that is closed while a thread waits on it keeps its port
        self._open = True
        self._thread = threading.Thread(target=self._serve, name="dns", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops the server."""
        self._open = False
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while self._open:
            with suppress(OSError):  # no query in time, or a full send queue: the resolver asks again
                query, sender = self._socket.recvfrom(512)
                if not self.silent and len(query) > 12:
                    self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        """Returns a response (RFC 1035) with the question and, for type A, a record with a TTL of 1 s."""
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        is_a = question[-4:-2] == b"\0\1"
        header = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + self._address if is_a else b""
        return header + question + record
