"""Limits how many arms there are: servers on the network choose how many models and resolutions they list.

Each arm adds to the time of every decision, and each resolution a copy of an image that is slow to decode.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from controller import Arm

MAX_ARMS = 128
MAX_RESOLUTIONS = 16


def within_limits(servers: Sequence[Sequence[Arm]]) -> tuple[Arm, ...]:
    """Returns different arms, in their order, with at most MAX_RESOLUTIONS resolutions.

    If there are too many, each server gets its first arms, as many as the others.

    Args:
        servers: the arms of each server; the resolutions of earlier servers come first.
    """
    arms = tuple(dict.fromkeys(arm for server in servers for arm in server))
    if len(arms) <= MAX_ARMS and len({arm.resolution for arm in arms}) <= MAX_RESOLUTIONS:
        return arms
    kept: set[Arm] = set()
    resolutions: set[int] = set()
    for turn in zip_longest(*servers):
        for arm in turn:
            if arm is None or len(kept) >= MAX_ARMS:
                continue
            if arm.resolution in resolutions or len(resolutions) < MAX_RESOLUTIONS:
                resolutions.add(arm.resolution)
                kept.add(arm)
    return tuple(arm for arm in arms if arm in kept)
