"""What of a calibration may leave the site: the board and its own models."""

from __future__ import annotations

import re
from dataclasses import replace

from agent.calibration.result import Calibration
from agent.profile.identity import BoardIdentity


def public(calibration: Calibration) -> Calibration:
    """Returns the calibration without peers, their paths, and messages that may have names and addresses."""
    own = tuple(arm for arm in calibration.arms if arm.tier == "local")
    return replace(calibration, arms=own, paths=(), skipped=())


def public_name(board: BoardIdentity) -> str:
    """Returns a profile's name for a kind of board."""
    words = re.findall(r"[a-z0-9]+", board.model.lower())
    return "-".join(words) or f"unknown-{board.cores}-cores"
