"""`inarvl run`."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import numpy as np

from agent.cli.options import Config, LogLevel, Verbose
from agent.config.settings import Settings, site_settings
from agent.daemon import malloc
from agent.daemon.daemon import Daemon
from agent.peers.site_file import site_accesses
from agent.peers.trust import Trust
from agent.profile.choice import configured_profile
from inarvl import logs
from inarvl.errors import InarvlError
from inarvl.terminal import explained


def run(config: Config = None, log_level: LogLevel = "info", verbose: Verbose = False) -> None:
    """Run the agent until it is stopped."""
    logs.configure(log_level, verbose="agent" if verbose else None)
    malloc.limit_arenas()
    os.umask(0o077)  # nothing that the agent writes is for other users
    with explained("inarvl"):
        settings = site_settings(config)
        profile = configured_profile(settings.profile)
        daemon = Daemon(settings, profile, rng=np.random.default_rng(), reread=lambda: _reread(config))
        try:
            anyio.run(daemon.run)
        except Exception as error:
            raise _only_cause(error) from None


def _only_cause(error: BaseException) -> BaseException:
    """Returns the single error in groups of errors, which task groups make; else `error` itself."""
    cause = error
    while len(errors := list(getattr(cause, "exceptions", []))) == 1:
        cause = errors[0]
    return cause if isinstance(cause, InarvlError) else error


def _reread(config: Path | None) -> Settings:
    """Reads the site file again, and checks that its secrets and certificates can be used."""
    settings = site_settings(config)
    site_accesses(settings)
    Trust(settings.discovery.trust)
    return settings
