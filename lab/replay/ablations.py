"""The controller with parts taken away, to see what each is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from controller import (
    FEATURES,
    Confidence,
    Context,
    Controller,
    Decision,
    Example,
    Execution,
    FollowUp,
    Forgetting,
)
from lab.policies.inarvl import seeded_controller, settings_for
from lab.replay.lineup import COLD_AUDITS, Change, PolicyMaker, entry_named, warm
from lab.replay.policy_inputs import Setting
from lab.sim.signals import RecordedSignals

AUDITS: Final = (0.0, 0.01, 0.05, 0.1, 0.2)
BLANK: Final = RecordedSignals(np.full(len(FEATURES), 0.3))


class Unsure(Controller):
    """Is never told how sure a model was."""

    def study(self, example: Example, *, weight: float = 1.0) -> None:
        """As if no server had told."""
        super().study(replace(example, confidences=(Confidence(),) * len(example.arms)), weight=weight)

    def escalate(self, decision: Decision, execution: Execution, *, now: float) -> FollowUp:
        """As if the server told no probabilities."""
        return super().escalate(decision, replace(execution, confidence=Confidence()), now=now)


class Blind(Controller):
    """Sees the same signals in every question."""

    def study(self, example: Example, *, weight: float = 1.0) -> None:
        """As if all questions looked alike."""
        super().study(replace(example, signals=BLANK), weight=weight)

    def decide(self, context: Context, *, now: float) -> Decision:
        """As if all questions looked alike."""
        return super().decide(replace(context, signals=BLANK), now=now)


class Unfamiliar(Controller):
    """Meets every picture as if for the first time."""

    def decide(self, context: Context, *, now: float) -> Decision:
        """As if nothing like it had been met before."""
        signals = RecordedSignals(context.signals.vector())
        return super().decide(replace(context, signals=signals), now=now)


def _changed(change: Change) -> PolicyMaker:
    return lambda s: warm(s, change=change)


def _unprimed(kind: type[Controller]) -> PolicyMaker:
    def make(s: Setting) -> Controller:
        settings = settings_for(s.tuning, s.profile, floor=s.knob)
        return seeded_controller(
            replace(settings, priors={}, audit_budget=COLD_AUDITS), seed=s.seed, kind=kind
        )

    return make


def _audits(budget: float) -> PolicyMaker:
    return _changed(lambda settings: replace(settings, audit_budget=budget))


ABLATIONS: Final[dict[str, PolicyMaker]] = {
    "no confidence": lambda s: warm(s, Unsure),
    "no complexity": lambda s: warm(s, Blind),
    "no familiarity": lambda s: warm(s, Unfamiliar),
    "no forgetting": _changed(
        lambda settings: replace(settings, forgetting=Forgetting(cost=1.0, quality=1.0, floor=1.0))
    ),
    "no drift detection": _changed(
        lambda settings: replace(settings, learning=replace(settings.learning, alarm_patience=math.inf))
    ),
    "no dual": _changed(
        lambda settings: replace(settings, learning=replace(settings.learning, price_step=0.0))
    ),
    "no exploration": _changed(
        lambda settings: replace(
            settings, learning=replace(settings.learning, exploration=0.0, probe_rate=0.0)
        )
    ),
    "no warm start": entry_named("inarvl-cold").make,
    "no warm start, no priors": _unprimed(Controller),
    "no warm start, no priors, no familiarity": _unprimed(Unfamiliar),
    **{f"audits {budget:.0%}": _audits(budget) for budget in AUDITS},
}


def maker_named(name: str) -> PolicyMaker:
    """What makes a policy of the lineup or an ablation. Raises BenchError for another name."""
    return ABLATIONS[name] if name in ABLATIONS else entry_named(name).make
