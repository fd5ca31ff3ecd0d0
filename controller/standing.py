"""Which cloud models may answer: those known from the start, and those that have earned it.

1. Models that are found within FOUNDING_S of the first one have standing at once, and so have models on
   servers that a person named (`Option.vouched`).
2. A model that is found later is a newcomer. It is asked in addition to the reference, after the reply was
   sent, until LEAST answers were compared and enough of them agree. Then it has standing.
3. While no model with standing can be asked, newcomers may answer.
4. What one server's model has earned does not count for a model of that name on another server: names can be
   copied.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from controller import snapshot
from controller.arm import Arm
from controller.context import Option
from controller.errors import SnapshotError

FOUNDING_S: Final = 60.0
LEAST: Final = 20  # comparisons
AGREEMENT: Final = 0.6  # what the share of equal answers must exceed by one standard error
SHARE: Final = 0.25  # of the reference's answers to which a newcomer is compared
PATIENCE: Final = 40  # comparisons after which a newcomer that did not earn it is compared seldom
SELDOM: Final = 0.01
CAPACITY: Final = 256


@dataclass
class Standing:
    """What is known of one model on one server.

    Attributes:
        earned: whether its answers count.
        compared: how many of its answers were compared with the reference's.
        agreed: how many of these said the same, each counted by its probability.
    """

    earned: bool
    compared: int = 0
    agreed: float = 0.0

    def learn(self, p_same: float) -> None:
        """Takes in one comparison; older ones fade, with a memory of PATIENCE comparisons."""
        if self.compared >= PATIENCE:
            self.agreed *= (PATIENCE - 1) / PATIENCE
        else:
            self.compared += 1
        self.agreed += p_same
        share = self.agreed / self.compared
        error = math.sqrt(share * (1.0 - share) / self.compared)
        self.earned = self.earned or (self.compared >= LEAST and share - error > AGREEMENT)


class Standings:
    """The standing of every cloud model, in the order in which they were found.

    Attributes:
        changes: grows whenever a standing changes.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._held: dict[str, Standing] = {}
        self._founded_until: float | None = None

    def meet(self, options: Iterable[Option], now: float) -> None:
        """Takes note of the cloud models among `options`.

        Args:
            now: seconds on the controller's clock.
        """
        for option in options:
            if option.arm.tier == "local":
                continue
            name = _name(option.arm)
            held = self._held.get(name)
            if held is None:
                if self._founded_until is None:
                    self._founded_until = now + FOUNDING_S
                self._add(name, Standing(option.vouched or now <= self._founded_until))
            elif option.vouched and not held.earned:
                held.earned = True
                self.changes += 1

    def earned(self, arm: Arm) -> bool:
        """Returns whether the answers of a cloud arm count; a model that was never met counts."""
        held = self._held.get(_name(arm))
        return held is None or held.earned

    def place(self, arm: Arm) -> int:
        """Returns how many models were found before that of `arm`."""
        names = list(self._held)
        return names.index(_name(arm)) if _name(arm) in self._held else len(names)

    def wanted(self, arm: Arm, rng: np.random.Generator) -> bool:
        """Draws whether a newcomer is compared with an answer of the reference."""
        held = self._held.get(_name(arm))
        if held is None or held.earned:
            return False
        return bool(rng.random() < (SHARE if held.compared < PATIENCE else SELDOM))

    def learn(self, arm: Arm, p_same: float) -> None:
        """Takes in how probably an answer of `arm` says the same as the reference's to the same question."""
        held = self._held.get(_name(arm))
        if held is not None and not held.earned:
            held.learn(p_same)
            self.changes += held.earned

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {
            name: {"earned": held.earned, "compared": held.compared, "agreed": held.agreed}
            for name, held in self._held.items()
        }

    def restore(self, held: object) -> None:
        """Takes over a snapshot. The models that are found first after it do not get standing at once.

        Raises:
            SnapshotError: it does not fit.
        """
        for name, kept in snapshot.table(held).items():
            earned = snapshot.part(kept, "earned")
            compared, agreed = snapshot.number(kept, "compared"), snapshot.number(kept, "agreed")
            if not isinstance(earned, bool) or not 0 <= agreed <= compared:
                raise SnapshotError(f"the standing of {name!r} in the snapshot cannot be")
            self._add(name, Standing(earned, int(compared), agreed))
        if self._held:
            self._founded_until = -math.inf

    def _add(self, name: str, standing: Standing) -> None:
        if len(self._held) >= CAPACITY:
            newcomers = (known for known, held in self._held.items() if not held.earned)
            self._held.pop(next(newcomers, next(iter(self._held))))
        self._held[name] = standing
        self.changes += 1


def _name(arm: Arm) -> str:
    """Returns the name of a model on its server, whatever the resolution."""
    return f"{arm.model}#{arm.server}"
