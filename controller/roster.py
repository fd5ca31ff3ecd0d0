"""The arms that a question may go to, looked at once for all questions that have the same."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from controller.arm import Arm
from controller.settings import ControllerSettings
from controller.standing import Standings


class Roster:
    """Arms in the order of the options, and what never changes about them.

    Attributes:
        arms, ids, skills, servers: in that order.
        index: place of an arm, by its id.
        cloud: shape (arms,), whether the arm is in the cloud.
        calls: the same as a number, 1 or 0.
        local: places of the board's arms.
        differing: names of what is learned of how often each differs from the reference.
        judged: shape (arms,), 0 for the skill of the reference, which never differs, else 1.
        home: place of the reference; None when there is no cloud.
        reference: the cloud arm that all others are measured by; None when there is none.
        standard: its skill; empty when there is none.
    """

    def __init__(
        self, arms: tuple[Arm, ...], settings: ControllerSettings, standings: Standings | None = None
    ) -> None:
        self.arms = arms
        self.ids = tuple(arm.id for arm in arms)
        self.skills = tuple(arm.skill for arm in arms)
        self.differing = tuple(map(differing, self.skills))
        self.servers = tuple(arm.server for arm in arms)
        self.index = {name: place for place, name in enumerate(self.ids)}
        self.cloud: NDArray[np.bool_] = np.array([arm.tier == "cloud" for arm in arms], dtype=np.bool_)
        self.calls = self.cloud.astype(np.float64)
        self.local: NDArray[np.intp] = np.flatnonzero(~self.cloud)
        self.reference = reference_of(arms, settings, standings or Standings())
        self.standard = "" if self.reference is None else self.reference.skill
        self.home = None if self.reference is None else self.index[self.reference.id]
        self.judged = np.array([float(skill != self.standard) for skill in self.skills])

    def beside(self, arm: Arm) -> NDArray[np.bool_]:
        """Which arms are on the server of `arm`, itself included; shape (arms,)."""
        return np.array([server == arm.server for server in self.servers], dtype=np.bool_)


class Rosters:
    """Keeps the last roster, since most questions have the arms of the one before."""

    def __init__(self, settings: ControllerSettings, standings: Standings) -> None:
        self._settings = settings
        self._standings = standings
        self._changes = standings.changes
        self._last = Roster((), settings)

    def of(self, arms: tuple[Arm, ...]) -> Roster:
        """The roster of `arms`."""
        if arms != self._last.arms or self._changes != self._standings.changes:
            self._last = Roster(arms, self._settings, self._standings)
            self._changes = self._standings.changes
        return self._last


def differing(skill: str) -> str:
    """Name of what is learned of how often answers of a skill differ from the reference's."""
    return f"differ {skill}"


def reference_of(arms: Iterable[Arm], settings: ControllerSettings, standings: Standings) -> Arm | None:
    """Returns the cloud arm that all others are measured by.

    Arms without standing come last. Of the others it is an arm of the model that the settings name, else the
    one with the best prior, then the highest resolution, where 0 is the whole image, then the one that was
    found first. Names have no say: they can be chosen by whoever announces a peer.
    """
    clouds = [arm for arm in arms if arm.tier == "cloud"]

    def rank(arm: Arm) -> tuple[bool, bool, float, float, int]:
        return (
            standings.earned(arm),
            arm.model == settings.reference,
            settings.prior(arm).quality,
            arm.resolution or math.inf,
            -standings.place(arm),
        )

    return max(clouds, key=rank, default=None)
