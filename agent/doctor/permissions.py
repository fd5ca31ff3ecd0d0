"""Checks of file permissions."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.profile.profile import Profile
from inarvl.redaction import MIN_LENGTH
from inarvl.secret_file import SecretUnavailable, is_credential, secret_path

USER = "inarvl-agent"


def permissions(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the agent may use its files, and that other users may not read its secrets."""
    findings = [_writable(settings.state_dir)]
    findings += [_secret(file) for file in settings.secret_files]
    if settings.local is not None and settings.local.startswith("unix:"):
        socket = Path(settings.local.removeprefix("unix:"))
        if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
            findings.append(
                failed(f"{socket} is not accessible", f"run as user {USER}, who may use it, or as root")
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
        f"state_dir {folder} is not writable", f"run as user {USER} or root, or write another state_dir"
    )


def _secret(file: Path) -> Finding:
    try:
        path = secret_path(file)
    except SecretUnavailable as error:
        fact, _, remedy = str(error).partition("; ")
        return failed(fact, remedy)
    try:
        mode = path.stat().st_mode
        content = path.read_bytes().strip()
    except OSError as error:
        return failed(f"{file} cannot be read ({error.strerror})", f"`chgrp {USER} {path}; chmod 640 {path}`")
    if mode & stat.S_IROTH and not is_credential(file):
        return warning(f"{file} is readable by every user", f"`chmod o= {path}`")
    if len(content) < MIN_LENGTH:
        return warning(
            f"{file} has fewer than {MIN_LENGTH} characters: it can be guessed, and logs may show it",
            "use a longer password or key",
        )
    return ok(f"{file} is readable, and not by every user")
