"""One machine for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from machine import SITE, Machine, booted, debian, wheels


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """With the agent and a broker running."""
    found = wheels()
    (own,) = found.glob("inarvl-*.whl")
    with booted(debian(), found) as running:
        running.write("/etc/inarvl/agent.yaml", SITE)
        running.write("/etc/systemd/system/inarvl-agent.service.d/quick.conf", "[Service]\nWatchdogSec=5\n")
        running.run("systemctl", "start", "mosquitto")
        offline = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels")
        running.run(*offline, "/src/scripts/install", "--from", f"/wheels/{own.name}", "agent")
        yield running
