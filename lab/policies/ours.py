"""The controller as it is, driven as the agent drives it."""

from __future__ import annotations

import numpy as np

from controller.arm import Arm
from controller.context import Context
from controller.controller import Controller
from controller.decision import Decision
from controller.errors import NoArm
from controller.outcome import Execution, Outcome
from controller.settings import ControllerSettings, Limits, Prior
from controller.study import Example
from lab.sim.dataset import Dataset
from lab.sim.policy import KEEP, Choice, Next
from lab.sim.profile import CostProfile


def settings_for(
    tuning: Dataset, profile: CostProfile, *, floor: float = 0.97, audit_budget: float = 0.03
) -> ControllerSettings:
    """What a profile's YAML would say: accuracies to the nearest 5%, times to one figure, powers, weights."""
    priors = {}
    for column, arm in enumerate(tuning.arms):
        quality = round(float(tuning.correct[:, column].mean()) * 20) / 20
        latency_ms = float(f"{tuning.compute_ms[:, column].mean():.1g}")
        priors[arm.skill] = Prior(latency_ms=latency_ms, quality=min(0.95, max(0.05, quality)))
    return ControllerSettings(
        weights=profile.weights,
        floor=floor,
        audit_budget=audit_budget,
        limits=Limits(memory_mb=None, battery_pct=None),
        priors=priors,
        power=profile.power_model(),
    )


class Ours:
    """Adapts `Controller` to the simulator; `knowledge` is what it begins with, nothing when left out."""

    def __init__(self, settings: ControllerSettings, *, seed: int, knowledge: object = None) -> None:
        self.controller = Controller(settings, rng=np.random.default_rng((seed, 1)))
        if knowledge is not None:
            self.controller.begin(knowledge)
        self._decisions: dict[int, Decision] = {}

    @staticmethod
    def seen(example: Example) -> Example:
        """What it sees of a recorded question that it learns from."""
        return example

    def decide(self, number: int, context: Context, *, now: float) -> Choice | None:
        """As the controller decides; the risk is that of the board's best arm."""
        try:
            decision = self.controller.decide(context, now=now)
        except NoArm:
            return None
        self._decisions[number] = decision
        return Choice(decision.arm, decision.risk)

    def answered(self, number: int, run: Execution, *, now: float) -> Next:
        """Keep, escalate or audit as the controller says."""
        following = self.controller.escalate(self._decisions[number], run, now=now)
        if run.arm.tier == "cloud" and following.action == "keep":
            return KEEP
        return Next(following.action, following.arm, following.loss)

    def failed(self, number: int, run: Execution, *, now: float) -> Arm | None:
        """The controller's fallback."""
        decision = self.controller.fallback(self._decisions[number], run, now=now)
        if decision is None:
            return None
        self._decisions[number] = decision
        return decision.arm

    def learn(self, number: int, outcome: Outcome, *, now: float) -> int:
        """Everything that ran, once."""
        return len(self.controller.learn(self._decisions[number], outcome, now=now))

    def tell(self, number: int, correct: bool, *, now: float) -> None:
        """Feedback, as it comes over MQTT."""
        self.controller.feedback(self._decisions[number].id, correct, now=now)
