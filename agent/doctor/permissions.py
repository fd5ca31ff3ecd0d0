"""Checks of file permissions."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.profile.profile import Profile


def permissions(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the agent may use its files, and that other users may not read its secrets."""
    findings = [_writable(settings.state_dir)]
    secrets = (settings.broker.password_file, settings.broker.key_file)
    for path in (*secrets, *(server.api_key_file for server in settings.peers)):
        if path is not None:
            findings.append(_secret(path))
    if settings.local is not None and settings.local.startswith("unix:"):
        socket = Path(settings.local.removeprefix("unix:"))
        if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
            findings.append(
                failed(f"{socket} is not accessible", "run as user inarvl, who owns it, or as root")
            )
    return findings


def _writable(folder: Path) -> Finding:
    if not folder.exists():
        parent = next(path for path in folder.parents if path.exists())
        if os.access(parent, os.W_OK):
            return ok(f"state_dir {folder} can be created")
    elif os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ok(f"state_dir {folder} is writable")
    return failed(
        f"state_dir {folder} is not writable", "run as user inarvl or root, or write another state_dir"
    )


def _secret(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
        path.read_bytes()
    except OSError as error:
        return failed(f"{path} cannot be read ({error.strerror})", f"`chgrp inarvl {path}; chmod 640 {path}`")
    if mode & stat.S_IROTH:
        return warning(f"{path} is readable by every user", f"`chmod o= {path}`")
    return ok(f"{path} is readable, and not by every user")
