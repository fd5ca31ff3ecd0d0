"""Boots one machine for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from machine import SITE, Machine, booted, debian, wheels


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A machine with a broker, on which scripts/install has installed and started the agent."""
    with booted(debian(), wheels()) as running:
        running.write("/etc/inarvl/agent.yaml", SITE)
        running.run("systemctl", "start", "mosquitto")
        running.install("agent")
        yield running
