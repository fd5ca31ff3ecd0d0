"""Runs the checks of `inarvl doctor`. To add a check, write its function and add it to a list below."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from anyio import to_thread

from agent.config.settings import Settings
from agent.doctor import (
    dead_letters,
    http_door,
    machine,
    network,
    permissions,
    running_agent,
    spend,
    trust,
    units,
)
from agent.doctor.finding import Finding
from agent.profile.profile import Profile

MACHINE_CHECKS: tuple[tuple[str, Callable[[Settings, Profile], list[Finding]]], ...] = (
    ("profile", machine.profile),
    ("sensors", machine.sensors),
    ("permissions", permissions.permissions),
    ("trust", trust.trust),
    ("spend", spend.spend),
    ("memory", machine.memory),
    ("disk", machine.disk),
    ("clock", machine.clock),
    ("set aside", dead_letters.dead_letters),
    ("systemd", units.units),
)
NETWORK_CHECKS: tuple[tuple[str, Callable[[Settings, Profile], Awaitable[list[Finding]]]], ...] = (
    ("broker", network.broker),
    ("model", network.model),
    ("peers", network.peers),
    ("agent", running_agent.servers),
    ("http", http_door.http),
)


@dataclass(frozen=True)
class CheckResult:
    """The findings of one check."""

    name: str
    findings: tuple[Finding, ...]


async def run_checks(settings: Settings, profile: Profile) -> AsyncIterator[CheckResult]:
    """Runs all checks, one after the other."""
    for name, check in MACHINE_CHECKS:
        yield CheckResult(name, tuple(await to_thread.run_sync(check, settings, profile)))
    for name, check_network in NETWORK_CHECKS:
        yield CheckResult(name, tuple(await check_network(settings, profile)))


def worst_verdict(findings: list[Finding]) -> Literal["ok", "warning", "failed"]:
    """Returns the worst verdict of the findings."""
    verdicts = {finding.verdict for finding in findings}
    return "failed" if "failed" in verdicts else "warning" if "warning" in verdicts else "ok"
