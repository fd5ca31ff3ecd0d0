"""All that can be set about the decision, with defaults that suit a small board on a WAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.arm import Arm


@dataclass(frozen=True)
class Weights:
    """What one unit of each cost is worth; only their proportions matter.

    `money_per_unit` is for each unit of the currency in which calls have prices, `money_per_call` for each
    call of the cloud, whatever its price.
    """

    latency_per_s: float = 1.0
    energy_per_j: float = 0.1
    money_per_call: float = 0.0
    money_per_unit: float = 100.0


@dataclass(frozen=True)
class Limits:
    """Where the board's model may no longer run; None switches a limit off.

    Attributes:
        temp_c: hottest the board may be.
        memory_mb: what must stay free after a model has been loaded.
        battery_pct: lowest charge.
    """

    temp_c: float | None = 90.0
    memory_mb: float | None = 256.0
    battery_pct: float | None = 10.0


@dataclass(frozen=True)
class Prior:
    """What is believed of a skill before it has been tried.

    Attributes:
        latency_ms: its computing time on an idle server.
        quality: share of questions it answers right.
    """

    latency_ms: float
    quality: float


@dataclass(frozen=True)
class PowerModel:
    """What the board draws beyond its idle power, from which the energy of an answer is predicted.

    `local_w` while its own model computes, `wait_w` while it waits for the cloud, `radio_w` while it sends,
    and `radio_j_per_mb` for each megabyte sent.
    """

    local_w: float = 8.0
    wait_w: float = 0.5
    radio_w: float = 1.0
    radio_j_per_mb: float = 0.5


@dataclass(frozen=True)
class LinkDefaults:
    """What an unmeasured path is taken for."""

    rtt_ms: float = 100.0
    uplink_mbps: float = 5.0


@dataclass(frozen=True)
class Forgetting:
    """How much of its evidence each learner keeps from one observation to the next; memory is 1 / (1 - x).

    `failure_half_life_s` is the time after which a failure counts half.
    """

    cost: float = 0.98
    quality: float = 0.999
    floor: float = 0.999
    failure_half_life_s: float = 30.0


@dataclass(frozen=True)
class Learning:
    """How boldly it learns.

    Attributes:
        prior_strength: multiplies the certainty of all quality priors; below 1 trusts the first labels more.
        exploration: reward of trying a wholly unknown arm of the board first, as a share of the cloud's cost.
        probe_rate: share of questions given to another arm than the best, so that none is ever forgotten.
        opening_audits: audits that may be spent beyond the budget at the start and after a quality alarm.
        caution: deviations of what is not known yet by which an answer's risk is overrated.
        price_step: how fast the price of a lost answer follows what the floor demands.
        cloud_right, board_right: how often each is right when the two differ and the board was neither sure
            nor guessing, believed with the weight of `differ_strength` truths.
        failure_s: seconds that a failed run is taken to cost.
        alarm_patience: multiplies what the drift tests let pass before they alarm; infinite for no alarms.
    """

    prior_strength: float = 1.0
    exploration: float = 1.2
    probe_rate: float = 0.005
    opening_audits: float = 15.0
    caution: float = 1.2
    price_step: float = 0.01
    cloud_right: float = 0.8
    board_right: float = 0.13
    differ_strength: float = 20.0
    failure_s: float = 5.0
    alarm_patience: float = 1.0


@dataclass(frozen=True)
class ControllerSettings:
    """Settings of one controller.

    Attributes:
        floor: least share of the cloud's accuracy to be kept in the long run.
        audit_budget: share of all questions that may be audited.
        audit_room_ms: an audit is only drawn when the cloud is predicted to take less than this.
        priors: what is believed of a skill, by `Arm.skill`; the others take `local_prior` or `cloud_prior`.
        reference: name of the model that the others are measured by; None for the one with the best prior.
    """

    weights: Weights = Weights()
    floor: float = 0.97
    audit_budget: float = 0.05
    audit_room_ms: float = 3000.0
    limits: Limits = Limits()
    priors: Mapping[str, Prior] = field(default_factory=dict)
    local_prior: Prior = Prior(latency_ms=400.0, quality=0.6)
    cloud_prior: Prior = Prior(latency_ms=300.0, quality=0.85)
    reference: str | None = None
    power: PowerModel = PowerModel()
    link: LinkDefaults = LinkDefaults()
    forgetting: Forgetting = Forgetting()
    learning: Learning = Learning()

    def prior(self, arm: Arm) -> Prior:
        """What is believed of `arm` before it has been tried."""
        return self.priors.get(arm.skill, self.local_prior if arm.tier == "local" else self.cloud_prior)
