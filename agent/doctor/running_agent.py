"""Checks which servers the running agent does not use, and why."""

from __future__ import annotations

from agent import client
from agent.client import AgentSilent
from agent.config.settings import Settings
from agent.doctor.finding import Finding, ok, warning
from agent.doctor.trust import untrusted
from agent.profile.profile import Profile

WAIT_S = 2.0
REMEDY = (
    "correct the server, or its url and api_key_file in the site file, and reload the agent "
    "(`systemctl reload inarvl-agent`)"
)


async def servers(settings: Settings, profile: Profile) -> list[Finding]:
    """Returns a warning for each server that the agent reports a problem of; nothing if no agent runs."""
    try:
        snapshot = await client.status(settings, wait_s=WAIT_S)
    except AgentSilent:
        return []
    if snapshot.status != "online" or snapshot.telemetry is None:
        return []
    servers = snapshot.telemetry.get("servers", [])
    strangers = [
        server for server in servers if server.get("discovered") and server.get("trust") == "untrusted"
    ]
    reported = [server for server in servers if server not in strangers]
    others = untrusted([server["id"] for server in strangers])
    problems = [(server["id"], server["problem"]) for server in reported if server.get("problem")]
    if not problems:
        return [ok(f"the agent uses all of its {len(reported)} servers"), *others]
    found = [warning(f"the agent does not use {name}: {problem}", REMEDY) for name, problem in problems]
    return found + others
