"""The controller with parts taken away, to see what each is worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from controller.context import Context
from controller.outcome import Confidence, Execution
from controller.settings import Forgetting
from controller.signals import FEATURES
from controller.study import Example
from lab.policies.ours import Ours, settings_for
from lab.replay.lineup import COLD_AUDITS, Change, entry_named, warm
from lab.replay.setting import Setting
from lab.sim.policy import Choice, Next, Policy
from lab.sim.signals import RecordedSignals

AUDITS: Final = (0.0, 0.01, 0.05, 0.1, 0.2)
BLANK: Final = RecordedSignals(np.full(len(FEATURES), 0.3))


class Unsure(Ours):
    """Is never told how sure a model was."""

    @staticmethod
    def seen(example: Example) -> Example:
        """As if no server had told."""
        return replace(example, confidences=(Confidence(),) * len(example.arms))

    def answered(self, number: int, run: Execution, *, now: float) -> Next:
        """As if the server told no probabilities."""
        return super().answered(number, replace(run, confidence=Confidence()), now=now)


class Blind(Ours):
    """Sees the same signals in every question."""

    @staticmethod
    def seen(example: Example) -> Example:
        """As if all questions looked alike."""
        return replace(example, signals=BLANK)

    def decide(self, number: int, context: Context, *, now: float) -> Choice | None:
        """As if all questions looked alike."""
        return super().decide(number, replace(context, signals=BLANK), now=now)


class Unfamiliar(Ours):
    """Meets every picture as if for the first time."""

    def decide(self, number: int, context: Context, *, now: float) -> Choice | None:
        """As if nothing like it had been met before."""
        signals = RecordedSignals(context.signals.vector())
        return super().decide(number, replace(context, signals=signals), now=now)


def _changed(change: Change) -> Callable[[Setting], Policy]:
    return lambda s: warm(s, change=change)


def _unprimed(kind: type[Ours]) -> Callable[[Setting], Policy]:
    def make(s: Setting) -> Policy:
        settings = settings_for(s.tuning, s.profile, floor=s.knob)
        return kind(replace(settings, priors={}, audit_budget=COLD_AUDITS), seed=s.seed)

    return make


def _audits(budget: float) -> Callable[[Setting], Policy]:
    return _changed(lambda settings: replace(settings, audit_budget=budget))


ABLATIONS: Final[dict[str, Callable[[Setting], Policy]]] = {
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
    "no warm start, no priors": _unprimed(Ours),
    "no warm start, no priors, no familiarity": _unprimed(Unfamiliar),
    **{f"audits {budget:.0%}": _audits(budget) for budget in AUDITS},
}


def maker_named(name: str) -> Callable[[Setting], Policy]:
    """What makes a policy of the lineup or an ablation. Raises BenchError for another name."""
    return ABLATIONS[name] if name in ABLATIONS else entry_named(name).make
