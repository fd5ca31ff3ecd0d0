"""Chooses the profile of a board."""

from __future__ import annotations

import logging
from pathlib import Path

from agent.profile.identity import BoardIdentity
from agent.profile.loading import SITE_FOLDER, bundled, load_profile, site_profiles
from agent.profile.profile import Profile

log = logging.getLogger(__name__)

GENERIC = "generic-x86"
AUTO = "auto"


def configured_profile(name: str) -> Profile:
    """Loads the profile that the site file names: a bundled one, a file, or with `auto` the best match.

    Raises:
        ConfigError: the profile does not exist or is invalid.
    """
    return choose_profile() if name == AUTO else load_profile(name)


def choose_profile(board: BoardIdentity | None = None, folder: Path = SITE_FOLDER) -> Profile:
    """Returns the profile that fits the board best; the site's own profiles come before the bundled ones.

    Of several that fit, the one with the longest model name is used, then the most memory, then the most
    cores.

    Args:
        board: the board, by default this one.
        folder: where the site's own profiles are.

    Raises:
        ConfigError: one of the site's own profiles is invalid.
    """
    board = board or BoardIdentity.here()
    for names in ([str(path) for path in site_profiles(folder)], bundled()):
        fitting = [profile for profile in map(load_profile, names) if board.fits(profile.match)]
        if fitting:
            return max(fitting, key=lambda p: (len(p.match.model or ""), p.match.memory_gb, p.match.cores))
    log.warning(
        "no profile fits this board (%s): using %s, whose power is an estimate; "
        "run `inarvl profile new` to measure this board",
        board.model or "no device tree",
        GENERIC,
    )
    return load_profile(GENERIC)
