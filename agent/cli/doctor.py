"""`inarvl doctor`."""

from __future__ import annotations

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import Config
from agent.config.settings import Settings, site_settings
from agent.doctor.doctor import run_checks, worst_verdict
from agent.doctor.finding import Finding
from agent.profile.choice import configured_profile
from agent.profile.profile import Profile
from inarvl import logs
from inarvl.printable import printable
from inarvl.terminal import explained

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def doctor(config: Config = None) -> None:
    """Check everything that the agent needs; the exit status is 1 if a check fails, not if it warns."""
    with explained("inarvl"):
        settings = site_settings(config)
        with logs.silent("agent"):  # its warnings are findings too
            profile = configured_profile(settings.profile)
            findings = anyio.run(_check_and_print, settings, profile)
    if worst_verdict(findings) == "failed":
        raise typer.Exit(1)


async def _check_and_print(settings: Settings, profile: Profile) -> list[Finding]:
    screen, findings = Console(), list[Finding]()
    async for result in run_checks(settings, profile):
        findings.extend(result.findings)
        for finding in result.findings:
            colour = COLOURS[finding.verdict]
            screen.print(
                f"[{colour}]{finding.verdict:8}[/] {result.name:12} {escape(printable(finding.fact))}",
                soft_wrap=True,
                highlight=False,
            )
            if finding.remedy:
                screen.print(
                    f"{'':21} -> {escape(printable(finding.remedy))}", soft_wrap=True, highlight=False
                )
    return findings
