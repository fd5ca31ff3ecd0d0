"""Checks of the systemd units."""

from __future__ import annotations

from pathlib import Path

from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.doctor.local_server import local_unit, properties
from agent.profile.profile import Profile

AGENT = "inarvl-agent"
MAX_MEMORY_SHARE = 0.9  # of a unit's limit


def units(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the units are installed, active and within their memory limits."""
    if not Path("/run/systemd/system").exists():
        return [warning("systemd does not run here", "start the agent by other means, and keep it running")]
    findings = []
    for unit in (AGENT, local_unit()):
        shown = properties(unit)
        if shown.get("LoadState") != "loaded":
            findings.append(warning(f"{unit} is not installed", "see docs/deploy.md"))
        elif shown.get("ActiveState") != "active":
            findings.append(failed(f"{unit} is {shown['ActiveState']}", f"see `journalctl -u {unit} -e`"))
        else:
            findings.append(_active(unit, shown))
    return findings


def _active(unit: str, shown: dict[str, str]) -> Finding:
    limit, used = shown.get("MemoryMax", ""), shown.get("MemoryCurrent", "")
    restarts = shown.get("NRestarts", "0")
    fact = f"{unit} is active, restarted {restarts} times"
    if limit.isdigit() and used.isdigit():
        fact += f", {int(used) / 2**20:,.0f} of {int(limit) / 2**20:,.0f} MiB used"
        if int(used) > MAX_MEMORY_SHARE * int(limit):
            return warning(fact, f"raise MemoryMax: `systemctl edit {unit}`")
    return ok(fact) if restarts == "0" else warning(fact, f"see `journalctl -u {unit} -e` for the reason")
