"""`inarvl doctor`: does this machine have what the agent needs? Each check gives a verdict and a remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from anyio import to_thread

from agent.config.settings import Settings
from agent.doctor import machine, network
from agent.doctor.finding import Finding
from agent.profile.profile import Profile

MACHINE: tuple[tuple[str, Callable[[Settings, Profile], list[Finding]]], ...] = (
    ("profile", machine.profile),
    ("sensors", machine.sensors),
    ("permissions", machine.permissions),
    ("memory", machine.memory),
    ("disk", machine.disk),
    ("clock", machine.clock),
    ("systemd", machine.systemd_limits),
)
NETWORK: tuple[tuple[str, Callable[[Settings, Profile], Awaitable[list[Finding]]]], ...] = (
    ("broker", network.broker),
    ("model", network.model),
    ("peers", network.peers),
)


@dataclass(frozen=True)
class Examined:
    """A check's findings."""

    name: str
    findings: tuple[Finding, ...]


async def examine(settings: Settings, profile: Profile) -> AsyncIterator[Examined]:
    """Run every check, one after the other."""
    for name, look in MACHINE:
        yield Examined(name, tuple(await to_thread.run_sync(look, settings, profile)))
    for name, ask in NETWORK:
        yield Examined(name, tuple(await ask(settings, profile)))


def worst(findings: list[Finding]) -> Literal["ok", "warning", "failed"]:
    """The verdict on all of them."""
    verdicts = {finding.verdict for finding in findings}
    return "failed" if "failed" in verdicts else "warning" if "warning" in verdicts else "ok"
