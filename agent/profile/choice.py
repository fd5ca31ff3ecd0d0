"""Chooses the profile of a board."""

from __future__ import annotations

import logging
from pathlib import Path

from agent.profile.identity import BoardIdentity
from agent.profile.loading import SITE_FOLDER, bundled, load_profile, site_profiles
from agent.profile.profile import Profile

log = logging.getLogger(__name__)

GENERIC, GENERIC_ARM, JETSON = "generic-x86", "generic-arm", "jetson"
FALLBACKS = (GENERIC, GENERIC_ARM, JETSON)  # of boards that no profile knows
AUTO = "auto"


def configured_profile(name: str) -> Profile:
    """Loads the profile that the site file names: a bundled one, a file, or with `auto` the best match.

    Raises:
        ConfigError: the profile does not exist or is invalid.
    """
    return choose_profile() if name == AUTO else load_profile(name)


def choose_profile(board: BoardIdentity | None = None, folder: Path = SITE_FOLDER) -> Profile:
    """Returns the profile that fits the board best; the site's own profiles come before the bundled ones.

    Of several that fit, the one is used for which there is the best evidence: its module, then its name, then
    its SoC; then the one with the longest such text, the most memory, the most cores. A board that none fits
    gets a profile with cautious values: one for Jetsons, one for other ARM boards, one for other machines.

    Args:
        board: the board, by default this one.
        folder: where the site's own profiles are.

    Raises:
        ConfigError: one of the site's own profiles is invalid.
    """
    board = board or BoardIdentity.here()
    own = [str(path) for path in site_profiles(folder)]
    # A profile of the site that extends one for a module is not for every board with the same SoC.
    for names, soc_alone in ((own, False), (bundled(), True)):
        ranked = [
            ((*evidence, profile.match.memory_gb, profile.match.cores), profile)
            for profile in map(load_profile, names)
            if (evidence := board.evidence(profile.match, soc_alone=soc_alone)) is not None
        ]
        if ranked:
            return _warned(max(ranked, key=lambda pair: pair[0])[1], board)
    name = JETSON if board.is_jetson else GENERIC_ARM if board.arm else GENERIC
    return _warned(load_profile(name), board)


def _warned(profile: Profile, board: BoardIdentity) -> Profile:
    """Logs a warning if the profile is one for unknown boards."""
    if profile.name in FALLBACKS:
        log.warning(
            "no profile fits this board (%s): using %s, whose power is an estimate; "
            "run `inarvl profile new` to measure this board",
            board.model or "no device tree",
            profile.name,
        )
    return profile
