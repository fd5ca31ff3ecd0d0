"""The options of a question, with all that the two rules compare, column by column."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.beliefs import Vector
from controller.context import Context
from controller.costs import Estimates
from controller.guard import blocked
from controller.learned import Learned
from controller.looks import Looks
from controller.quality import Guesses
from controller.roster import Roster
from controller.rule import paid, weighted
from controller.settings import ControllerSettings
from controller.standing import Standings

LATE: Final = "it would miss the deadline"
NEWCOMER: Final = "its model is new: its answers are compared with the reference's first"


class Candidates(NamedTuple):
    """The arms as they stand for one question; every array has shape (arms,).

    Attributes:
        looks: names under which the question may be met again.
        shifts: what questions that looked so add to the logits of differing.
        money: price of one call, weighted.
        cost: of one call, weighted, with its price and what its failing would cost.
        blocked: why an arm cannot be used, in words; None when it can.
        able: which can be used.
        newcomers: places of arms that could be used but for their standing.
    """

    roster: Roster
    estimates: Estimates
    looks: Looks
    shifts: Vector
    guesses: Guesses
    money: Vector
    cost: Vector
    blocked: tuple[str | None, ...]
    able: NDArray[np.bool_]
    newcomers: tuple[int, ...] = ()

    @property
    def call(self) -> float:
        """What a loss is priced in: the cost of a call of the reference, or of the dearest arm."""
        home = self.roster.home
        return float(self.cost.max() if home is None else self.cost[home])

    def guessed(self, skill: str) -> float:
        """How likely the signals alone hold an answer of one of the skills to differ."""
        return float(self.guesses.differ[self.roster.skills.index(skill)])

    def asks(self, lam: float, cautious: Vector) -> Vector:
        """What asking each cloud arm costs, with what its answer may lose; infinite where it cannot be asked.

        Args:
            cautious: right answers that each may lose. An answer to an escalation cannot be audited, so its
                risk is overrated while it is little known.
        """
        return np.where(self.roster.cloud & self.able, self.cost + lam * cautious, np.inf)

    def without(self, place: int, reason: str) -> Candidates:
        """The same with one arm blocked; when nothing else is left, newcomers may be used."""
        reasons = list(self.blocked)
        reasons[place] = reason
        able = self.able.copy()
        able[place] = False
        if not able.any():
            for newcomer in self.newcomers:
                able[newcomer], reasons[newcomer] = True, None
        return self._replace(blocked=tuple(reasons), able=able)


def gather(
    context: Context, learned: Learned, settings: ControllerSettings, x: Vector, now: float
) -> Candidates:
    """The candidates, in the order of the options.

    Args:
        x: the quality models' features.
    """
    options = context.options
    learned.standings.meet(options, now)
    roster = learned.rosters.of(tuple([option.arm for option in options]))
    estimates = learned.costs.predict(roster, options, context.device)
    looks = context.signals.looks
    shifts = learned.familiarity.shifts(looks, roster.differing)
    guesses = learned.quality.guess(roster, x, shifts)
    reasons = [blocked(option, context, settings.limits) for option in options]
    able = np.array([reason is None for reason in reasons], dtype=np.bool_)
    if context.deadline_ms is not None:
        _block_late(estimates.late_ms, reasons, able, context.deadline_ms)
    newcomers = _block_newcomers(roster, learned.standings, reasons, able)
    chances = {server: learned.failures.chance(server, now) for server in set(roster.servers)}
    expected_ms = estimates.latency_ms
    if any(chances.values()):
        failing = np.array([chances[server] for server in roster.servers])
        expected_ms = expected_ms + failing * (settings.learning.failure_s * 1e3)
    prices = np.array([option.money for option in options])
    money = paid(settings.weights, calls=roster.calls, money=prices)
    cost = weighted(settings.weights, latency_ms=expected_ms, energy_j=estimates.energy_j, money=money)
    return Candidates(roster, estimates, looks, shifts, guesses, money, cost, tuple(reasons), able, newcomers)


def _block_newcomers(
    roster: Roster, standings: Standings, reasons: list[str | None], able: NDArray[np.bool_]
) -> tuple[int, ...]:
    """Block the cloud arms without standing, if one with standing can be used; returns their places."""
    usable: list[int] = np.flatnonzero(able & roster.cloud).tolist()
    newcomers = tuple(place for place in usable if not standings.earned(roster.arms[place]))
    if len(newcomers) == len(usable):
        return ()
    for place in newcomers:
        able[place] = False
        reasons[place] = NEWCOMER
    return newcomers


def _block_late(
    late_ms: Vector, reasons: list[str | None], able: NDArray[np.bool_], deadline_ms: float
) -> None:
    """Block what would miss the deadline; of all that may run the fastest stays: predictions can err."""
    late = able & (late_ms > deadline_ms)
    if not late.any():
        return
    if deadline_ms > 0:
        late[np.argmin(np.where(able, late_ms, np.inf))] = False
    able &= ~late
    for place in np.flatnonzero(late):
        reasons[place] = LATE
