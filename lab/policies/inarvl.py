"""The controller, configured as an agent with the cost profile would configure it."""

from __future__ import annotations

import numpy as np

from controller import Controller, ControllerSettings, Limits, Prior
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset


def settings_for(
    tuning: Dataset, profile: CostProfile, *, floor: float = 0.97, audit_budget: float = 0.03
) -> ControllerSettings:
    """Returns what a profile's YAML would contain: powers, weights, and the priors of each model.

    Accuracies are rounded to 5%, times to one significant digit.
    """
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


def seeded_controller(
    settings: ControllerSettings, *, seed: int, knowledge: object = None, kind: type[Controller] = Controller
) -> Controller:
    """Returns a new controller that starts with `knowledge` if given; `kind` may be an ablated controller."""
    controller = kind(settings, rng=np.random.default_rng((seed, 1)))
    if knowledge is not None:
        controller.begin(knowledge)
    return controller
