"""Ablations: the controller with one part removed or changed."""

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
from lab.replay.lineup import COLD_AUDITS, Change, PolicyMaker, entry_named, warm_controller
from lab.replay.policy_inputs import PolicyInputs
from lab.sim.signals import RecordedSignals

AUDITS: Final = (0.0, 0.01, 0.05, 0.1, 0.2)
BLANK: Final = RecordedSignals(np.full(len(FEATURES), 0.3))


class WithoutConfidence(Controller):
    """Never sees the confidence of an answer."""

    def study(self, example: Example, *, weight: float = 1.0) -> None:
        """Studies the example without its confidences."""
        super().study(replace(example, confidences=(Confidence(),) * len(example.arms)), weight=weight)

    def escalate(self, decision: Decision, execution: Execution, *, now: float) -> FollowUp:
        """Judges the answer without its confidence."""
        return super().escalate(decision, replace(execution, confidence=Confidence()), now=now)


class WithoutSignals(Controller):
    """Sees the same signals for every question."""

    def study(self, example: Example, *, weight: float = 1.0) -> None:
        """Studies the example with blank signals."""
        super().study(replace(example, signals=BLANK), weight=weight)

    def decide(self, context: Context, *, now: float) -> Decision:
        """Decides with blank signals."""
        return super().decide(replace(context, signals=BLANK), now=now)


class WithoutFamiliarity(Controller):
    """Never recognises an image or a question."""

    def decide(self, context: Context, *, now: float) -> Decision:
        """Decides without the keys by which familiar images and questions are recognised."""
        signals = RecordedSignals(context.signals.vector())
        return super().decide(replace(context, signals=signals), now=now)


def _changed(change: Change) -> PolicyMaker:
    return lambda inputs: warm_controller(inputs, change=change)


def _without_priors(kind: type[Controller]) -> PolicyMaker:
    def make(inputs: PolicyInputs) -> Controller:
        settings = settings_for(inputs.tuning, inputs.profile, floor=inputs.knob)
        return seeded_controller(
            replace(settings, priors={}, audit_budget=COLD_AUDITS), seed=inputs.seed, kind=kind
        )

    return make


def _audits(budget: float) -> PolicyMaker:
    return _changed(lambda settings: replace(settings, audit_budget=budget))


ABLATIONS: Final[dict[str, PolicyMaker]] = {
    "no confidence": lambda inputs: warm_controller(inputs, WithoutConfidence),
    "no complexity": lambda inputs: warm_controller(inputs, WithoutSignals),
    "no familiarity": lambda inputs: warm_controller(inputs, WithoutFamiliarity),
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
    "no warm start, no priors": _without_priors(Controller),
    "no warm start, no priors, no familiarity": _without_priors(WithoutFamiliarity),
    **{f"audits {budget:.0%}": _audits(budget) for budget in AUDITS},
}


def maker_named(name: str) -> PolicyMaker:
    """Returns the maker of a policy of the lineup or of an ablation. Raises BenchError for other names."""
    return ABLATIONS[name] if name in ABLATIONS else entry_named(name).make


def default_knob(name: str) -> float:
    """Returns the default knob of a policy of the lineup or of an ablation. Raises BenchError."""
    return entry_named("inarvl" if name in ABLATIONS else name).knobs[0]
