"""A child process that decodes images, with limits on memory and time.

1. It starts with the first image and remains, because its start takes half a second. Images wait for one
   another.
2. It limits its own memory. An allocation beyond the limit fails, which is an error of that image.
3. A timer of the kernel ends it if an image needs too much processor time, also inside a decoder and if the
   agent has ended. The agent ends it if it makes no progress for WAIT_S, as on a board that swaps. The next
   image starts another process.
4. If memory is short, the kernel kills it before the agent (`oom_score_adj`).
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from agent.messages.images.preparing import PreparedImage, View, prepare
from agent.messages.query import BadQuery

TIME_LIMIT_S = 10.0
WAIT_S = 60
MEMORY_BYTES = 512 * 2**20  # for one image of 25 megapixels, in addition to the program
COMMAND = f"from {__name__} import serve; serve()"
OOM_SCORE = "1000"  # the first to be killed


class DecodingProcess:
    """Prepares images one at a time in a child process; callers in other threads wait."""

    def __init__(self, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def prepare(self, data: bytes, views: tuple[View, ...], least_margin_px: int = 0) -> PreparedImage:
        """Returns `prepare(data, views, least_margin_px)`.

        Raises:
            BadQuery: the image cannot be decoded, or not within the limits.
        """
        with self._lock:
            if self._child is None or self._child.poll() is not None:
                self._start()
            assert self._connection is not None, "it was started"
            try:
                # `send` leaves a view of its buffer, of which Python 3.13 complains if the send fails.
                self._connection.send_bytes(pickle.dumps((data, views, least_margin_px, self._time_limit_s)))
                result = self._connection.recv()
            except (EOFError, OSError):
                self._stop()
                raise BadQuery(
                    "bad_image",
                    f"the image needs over {self._time_limit_s:g} s of processor time, {WAIT_S} s in all, or "
                    "too much memory: send a smaller one, or an ordinary JPEG",
                ) from None
        if isinstance(result, PreparedImage):
            return result
        raise BadQuery(*result)

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        self._stop()
        ours, theirs = socket.socketpair()
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", WAIT_S, 0))
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-c", COMMAND],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
            )
        self._connection = Connection(ours.detach())

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._connection = self._child = None


def serve() -> None:
    """Prepares the images that arrive on the socket at stdin, until it is closed."""
    with suppress(OSError):  # not on every kernel
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    with suppress(OSError, ValueError):  # where the service manager forbids it, its own limit remains
        limit = _virtual_bytes() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the agent still finishes its queries
    connection = Connection(sys.stdin.fileno())
    while True:
        try:
            data, views, least_margin_px, time_limit_s = connection.recv()
        except (EOFError, OSError):
            return
        signal.setitimer(signal.ITIMER_PROF, time_limit_s)
        try:
            result: PreparedImage | tuple[str, str] = prepare(data, views, least_margin_px)
        except BadQuery as error:
            result = (error.code, str(error))
        except MemoryError:
            result = ("too_large", "decoding the image needs too much memory: send a smaller one")
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send(result)


def _virtual_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
