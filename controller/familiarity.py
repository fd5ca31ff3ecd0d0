"""What answers about pictures and scenes met before have told, beyond what their signals tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np

from controller import snapshot
from controller.beliefs import Beliefs, Vector
from controller.errors import SnapshotError
from controller.logistic import learn_label, logit
from controller.looks import SORTS, Looks

DEVIATION: Final = 1.5  # of a shift in logits, before any label
KEPT: Final = 0.99  # of what is known of a look, from one label to the next
TRUST, TRUST_DEVIATION = 0.7, 0.3  # how far a shift is believed, before it was tried
CAPACITY: Final = 4096
SURE: Final = 0.01  # no label is taken to be surer

Shift = tuple[float, float]  # its mean and variance
UNMET: Final[Shift] = (0.0, DEVIATION**2)


class Familiarity:
    """Random intercepts of logistic regressions, by look.

    Each look has a shift of the logits for each regression, by its name: a normal belief that every label
    corrects, mean += variance * (label - p) with 1 / variance += p (1 - p), the extended Kalman filter of a
    logistic observation (Fahrmeir 1992). Where a question has several looks their shifts are added, each
    times how far its sort is believed. That is learned too, by a regression of its own for each first word
    of a name: five questions about one picture need have nothing in common.

    Args:
        forgetting: share of evidence on how far to believe kept from one label to the next.
    """

    def __init__(self, forgetting: float) -> None:
        # By look and name; the last in order is the last learned.
        self._held: OrderedDict[str, dict[str, Shift]] = OrderedDict()
        self._trust = Beliefs(len(SORTS), forgetting)
        self._trusts: dict[str, list[float]] = {}  # their means, until the next label

    def shifts(self, looks: Looks, names: Sequence[str]) -> Vector:
        """What to add to the logits of some regressions for a question with these looks, shape (names,)."""
        added: dict[str, float] = {}
        for sort, look in enumerate(looks):
            for name, (mean, _) in self._held.get(look, {}).items():
                added[name] = added.get(name, 0.0) + self._trusted(_subject(name))[sort] * mean
        return np.array([added.get(name, 0.0) for name in names]) if added else np.zeros(len(names))

    def shift(self, looks: Looks, name: str) -> float:
        """The same for one."""
        return float(self.shifts(looks, (name,))[0])

    def learn(self, looks: Looks, name: str, p: float, label: float, weight: float = 1.0) -> None:
        """Take in a label in [0, 1] that had, shifts included, the probability `p`."""
        if not looks:
            return
        p = min(1.0 - SURE, max(SURE, p))
        means = np.array([self._held.get(look, {}).get(name, UNMET)[0] for look in looks])
        if means.any():
            subject = _subject(name)
            others = logit(p) - float(np.dot(self._trusted(subject), means))
            learn_label(self._trust, subject, means, label, weight, shift=others)
            self._trusts.pop(subject, None)
        for look in looks:
            shifts = self._held.setdefault(look, {})
            self._held.move_to_end(look)
            mean, variance = shifts.get(name, UNMET)
            variance = 1.0 / (1.0 / min(DEVIATION**2, variance / KEPT) + weight * p * (1.0 - p))
            shifts[name] = (mean + variance * weight * (label - p), variance)
        while len(self._held) > CAPACITY:
            self._held.popitem(last=False)

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        held = {
            look: {name: list(shift) for name, shift in shifts.items()} for look, shifts in self._held.items()
        }
        return {"held": held, "trust": self._trust.snapshot()}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError; to be called on a new object."""
        self._trust.restore(snapshot.part(held, "trust"))
        for look, shifts in snapshot.table(snapshot.part(held, "held")).items():
            kept: dict[str, Shift] = {}
            for name in snapshot.table(shifts):
                mean, variance = snapshot.array(shifts, name, (2,)).tolist()
                if variance <= 0:
                    raise SnapshotError(f"what the snapshot holds of {look!r} is no belief")
                kept[name] = (mean, variance)
            self._held[look] = kept

    def _trusted(self, subject: str) -> list[float]:
        """How far each sort of look is believed."""
        if subject not in self._trusts:
            if subject not in self._trust:
                sorts = len(SORTS)
                self._trust.add(subject, np.full(sorts, TRUST), np.full(sorts, TRUST_DEVIATION**2))
            self._trusts[subject] = self._trust.mean(subject).tolist()
        return self._trusts[subject]


def _subject(name: str) -> str:
    return name.partition(" ")[0]
