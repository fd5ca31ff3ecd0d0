"""Network namespaces with real interfaces, and programs that run in them."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

NEEDS = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="the ip command is missing: install iproute2"),
]
FOUND_S = 60


class Program:
    """A program in a namespace, and the lines of JSON that it prints."""

    def __init__(self, namespace: str, code: str, *arguments: str) -> None:
        command = ["ip", "netns", "exec", namespace, sys.executable, "-c", code, *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._lines.get(timeout=FOUND_S) == "{}\n"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def line(self) -> Any:
        """Returns what it prints next."""
        return json.loads(self._lines.get(timeout=FOUND_S))

    def is_silent(self) -> bool:
        """Whether it has printed nothing since."""
        return self._lines.empty()

    def wait_for(self, url: str) -> list[str]:
        """Returns the URLs that it reported, of which `url` is the last."""
        urls = []
        while url not in urls:
            urls.append(self.line())
        return urls

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Network:
    """Namespaces of its own, and the programs in them."""

    def __init__(self) -> None:
        self._prefix = f"inarvl-t{os.getpid()}"
        self._namespaces: list[str] = []
        self._programs: list[Program] = []

    def namespace(self, name: str) -> str:
        full = f"{self._prefix}-{name}"
        ip("netns", "add", full)
        self._namespaces.append(full)
        ip("-n", full, "link", "set", "lo", "up")
        return full

    def connect(self, one: str, other: str, name: str, *addresses: str) -> None:
        """Connects two namespaces by a cable with an interface `name` at both ends."""
        ip("-n", one, "link", "add", name, "type", "veth", "peer", "name", name, "netns", other)
        for namespace, address in zip((one, other), addresses, strict=True):
            ip("-n", namespace, "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
            ip("-n", namespace, "link", "set", name, "up")

    def bridge(self, namespace: str, address: str) -> None:
        """Adds a bridge as container engines do, with the same address on every machine."""
        ip("-n", namespace, "link", "add", "docker0", "type", "veth", "peer", "name", "container")
        ip("-n", namespace, "addr", "add", address, "dev", "docker0")
        for end in ("docker0", "container"):
            ip("-n", namespace, "link", "set", end, "up")

    def start(self, namespace: str, code: str, *arguments: str) -> Program:
        program = Program(namespace, code, *arguments)
        self._programs.append(program)
        return program

    def close(self) -> None:
        for program in self._programs:
            program.stop()
        for namespace in self._namespaces:
            ip("netns", "delete", namespace)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def emulated_network() -> Iterator[Network]:
    """Yields an empty network; skips the test if this machine cannot have one."""
    created = Network()
    try:
        created.namespace("probe")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr}")
    yield created
    with suppress(subprocess.CalledProcessError):
        created.close()
