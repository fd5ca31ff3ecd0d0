"""Boots one machine for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from machine import SITE, Machine, booted, debian, wheels


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A machine with a broker, on which scripts/install has installed and started the agent."""
    folder = wheels()
    (own,) = folder.glob("inarvl-*.whl")
    with booted(debian(), folder) as running:
        running.write("/etc/inarvl/agent.yaml", SITE)
        running.run("systemctl", "start", "mosquitto")
        offline = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels")
        running.run(*offline, "/src/scripts/install", "--from", f"/wheels/{own.name}", "agent")
        yield running
