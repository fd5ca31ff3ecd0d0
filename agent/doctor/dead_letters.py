"""Check of the queries and replies that the agent has set aside."""

from __future__ import annotations

import time

from agent.config.settings import Settings
from agent.doctor.finding import Finding, ok, warning
from agent.profile.profile import Profile
from agent.spool.dead_letters import FOLDER, read_dead_letters


def dead_letters(settings: Settings, profile: Profile) -> list[Finding]:
    """Reports each query at which the agent crashed, and each reply at which the broker disconnected."""
    folder = settings.state_dir / FOLDER
    try:
        letters = read_dead_letters(folder)
    except PermissionError:
        return [warning(f"{folder} cannot be read", "run as user inarvl-agent or root")]
    if not letters:
        return [ok("nothing was set aside")]
    remedy = f"report it with its content in {folder}, and delete the files there"
    return [
        warning(f"{' '.join(letter.key.split())}, {time.ctime(letter.at)}: {letter.reason}", remedy)
        for letter in letters
    ]
