"""A network namespace for the board, behind an emulated link."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import BenchError

NETWORK = "10.213"
SUBNETS = 254


@dataclass
class EmulatedLink:
    """The link between the host's network and the board's.

    Attributes:
        namespace: Name of the board's network namespace.
        host_address: IPv4 address of the host's end.
    """

    namespace: str
    host_address: str
    _board_interface: str
    _emulator: subprocess.Popen[str]

    @property
    def board_prefix(self) -> tuple[str, ...]:
        """Prefix of a command that runs it on the board."""
        return ("ip", "netns", "exec", self.namespace)

    def set_board_interface(self, *, up: bool) -> None:
        """Takes the board's network interface down, or up."""
        _ip("-n", self.namespace, "link", "set", self._board_interface, "up" if up else "down")

    def set(self, **conditions: object) -> None:
        """Changes fields of `link_emulator.LinkConditions`."""
        assert self._emulator.stdin is not None
        assert self._emulator.stdout is not None
        self._emulator.stdin.write(json.dumps(conditions) + "\n")
        self._emulator.stdin.flush()
        self._emulator.stdout.readline()


def unsupported_reason() -> str | None:
    """Returns why this machine cannot emulate a link, or None if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the ip command is missing: apt-get install iproute2"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is missing or not accessible"
    return None


@contextmanager
def emulated_link(seed: int) -> Iterator[EmulatedLink]:
    """Creates a namespace that is connected to the host only by the link.

    Args:
        seed: Of the link's losses and jitter.

    Raises:
        BenchError: This machine cannot emulate a link.
    """
    if (reason := unsupported_reason()) is not None:
        raise BenchError(reason)
    subnet, namespace = _new_namespace()
    near, far = f"inarvl{subnet}a", f"inarvl{subnet}b"
    host, board = (f"{NETWORK}.{subnet}.{number}" for number in (1, 2))
    emulator = subprocess.Popen(
        [sys.executable, "-m", "lab.rig.faults.link_emulator", near, far, f"{seed}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert emulator.stdout is not None
        if emulator.stdout.readline() != "up\n":
            raise BenchError("the link emulator did not start: see its error above")
        _ip("link", "set", far, "netns", namespace)
        _ip("addr", "add", host, "peer", board, "dev", near)
        _ip("link", "set", near, "up")
        inside = ("-n", namespace)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "addr", "add", board, "peer", host, "dev", far)
        _ip(*inside, "link", "set", far, "up")
        yield EmulatedLink(namespace, host, far, emulator)
    finally:
        emulator.kill()
        emulator.wait()
        with suppress(BenchError):
            _ip("netns", "delete", namespace)


def _new_namespace() -> tuple[int, str]:
    """Creates a namespace with an unused number, so that runs at the same time have different subnets."""
    for offset in range(SUBNETS):
        subnet = 1 + (os.getpid() + offset) % SUBNETS
        namespace = f"inarvl-{subnet}"
        try:
            _ip("netns", "add", namespace)
        except BenchError:
            if not Path("/run/netns", namespace).exists():
                raise
        else:
            return subnet, namespace
    raise BenchError("all subnets are in use: delete old namespaces with ip -all netns delete")


def _ip(*arguments: str) -> None:
    ran = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"ip {' '.join(arguments)}: {ran.stderr.strip()}")
