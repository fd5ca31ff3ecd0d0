"""`inarvl doctor`."""

from __future__ import annotations

from dataclasses import asdict

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import Config, Json
from agent.config.settings import Settings, site_settings
from agent.doctor.doctor import CheckResult, run_checks, worst_verdict
from agent.profile.choice import configured_profile
from agent.profile.profile import Profile
from inarvl import logs
from inarvl.printable import printable
from inarvl.terminal import explained, print_json

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def doctor(config: Config = None, as_json: Json = False) -> None:
    """Check everything that the agent needs; the exit status is 1 if a check fails, not if it warns."""
    with explained("inarvl"):
        settings = site_settings(config)
        with logs.silent("agent"):  # its warnings are findings too
            profile = configured_profile(settings.profile)
            results = anyio.run(_check, settings, profile, not as_json)
    findings = [finding for result in results for finding in result.findings]
    if as_json:
        rows = [{"check": result.name, **asdict(found)} for result in results for found in result.findings]
        print_json({"verdict": worst_verdict(findings), "findings": rows})
    if worst_verdict(findings) == "failed":
        raise typer.Exit(1)


async def _check(settings: Settings, profile: Profile, shown: bool) -> list[CheckResult]:
    """Returns the results of all checks; prints each as soon as it is known, if they are to be shown."""
    results = []
    async for result in run_checks(settings, profile):
        results.append(result)
        if shown:
            _print(result)
    return results


def _print(result: CheckResult) -> None:
    screen = Console()
    for finding in result.findings:
        colour = COLOURS[finding.verdict]
        screen.print(
            f"[{colour}]{finding.verdict:8}[/] {result.name:12} {escape(printable(finding.fact))}",
            soft_wrap=True,
            highlight=False,
        )
        if finding.remedy:
            screen.print(f"{'':21} -> {escape(printable(finding.remedy))}", soft_wrap=True, highlight=False)
