"""The board in a network namespace of its own, behind an emulated link."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lab.errors import BenchError

NETWORK = "10.213"


@dataclass
class Link:
    """The link between this network, at address `here`, and the board's in namespace `namespace`."""

    namespace: str
    here: str
    _wire: subprocess.Popen[str]

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command that make it run on the board."""
        return ("ip", "netns", "exec", self.namespace)

    def set(self, **conditions: object) -> None:
        """Change the link; see `wire.Conditions`."""
        assert self._wire.stdin is not None
        assert self._wire.stdout is not None
        self._wire.stdin.write(json.dumps(conditions) + "\n")
        self._wire.stdin.flush()
        self._wire.stdout.readline()


def why_not() -> str | None:
    """Why no link can be emulated here; None when one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip command (apt package iproute2)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    return None


@contextmanager
def emulated_link(seed: int) -> Iterator[Link]:
    """A namespace that is reached through the link only, as is this network from there.

    Its addresses are of this process, so that several runs do not meet.

    Raises:
        BenchError: that cannot be done here.
    """
    if (reason := why_not()) is not None:
        raise BenchError(reason)
    namespace, near, far = (f"inarvl-{os.getpid()}", f"iv{os.getpid()}a"[:15], f"iv{os.getpid()}b"[:15])
    here, board = (f"{NETWORK}.{1 + os.getpid() % 254}.{end}" for end in (1, 2))
    _ip("netns", "add", namespace)
    wire = subprocess.Popen(
        [sys.executable, "-m", "lab.rig.faults.link_emulator", near, far, f"{seed}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert wire.stdout is not None
        if wire.stdout.readline() != "up\n":
            raise BenchError("the emulated link did not start")
        _ip("link", "set", far, "netns", namespace)
        _ip("addr", "add", here, "peer", board, "dev", near)
        _ip("link", "set", near, "up")
        inside = ("-n", namespace)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "addr", "add", board, "peer", here, "dev", far)
        _ip(*inside, "link", "set", far, "up")
        yield Link(namespace, here, wire)
    finally:
        wire.kill()
        wire.wait()
        with suppress(BenchError):
            _ip("netns", "delete", namespace)


def _ip(*words: str) -> None:
    ran = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"ip {' '.join(words)}: {ran.stderr.strip()}")
