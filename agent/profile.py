"""A hardware profile: what is known of a kind of board before anything is measured on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from agent.yaml_file import Section
from controller.arm import Tier
from controller.settings import ControllerSettings, Limits, PowerModel, Prior, Weights
from vlm.completion import ModelCard

MOST_W = 500.0


def _in_watts(power: float) -> float:
    if power > MOST_W:
        raise ValueError(f"{power:g} W is over {MOST_W:g} W: is the figure in milliwatts? write watts")
    return power


Watts = Annotated[float, Field(ge=0), AfterValidator(_in_watts)]
Pixels = Annotated[int, Field(ge=16, le=8192)]


class Match(Section):
    """How the board is recognised: a part of its device-tree model, and what it must have at least."""

    model: str | None = None
    memory_gb: float = Field(0, ge=0)


class Power(Section):
    """What the board draws, in watts: `idle_w` in all, the others above that.

    `rails` name the monitored rails whose sum is the board's power, where its sensors would choose wrongly;
    `sees_radio` says that the radio or network card is in that.
    """

    idle_w: Watts
    local_w: Watts
    wait_w: Watts
    radio_w: Watts
    radio_j_per_mb: float = Field(0, ge=0, le=100)
    rails: tuple[str, ...] = ()
    sees_radio: bool = False


class LimitSettings(Section):
    """Where the board is left alone; null for no limit."""

    temp_c: float | None = Field(90, gt=20, le=120)
    memory_mb: float | None = Field(256, ge=0)
    battery_pct: float | None = Field(10, ge=0, le=100)


class ModelPrior(Section):
    """A model as it is expected to be, at each resolution (longest side in px) it is to be tried at."""

    name: str
    resolutions: tuple[Pixels, ...] = ()
    latency_ms: float | None = Field(None, gt=0)
    quality: float | None = Field(None, gt=0, lt=1)


class Models(Section):
    """The models of each tier. One that is not named is used as its server describes it."""

    local: tuple[ModelPrior, ...] = ()
    cloud: tuple[ModelPrior, ...] = ()


class WeightSettings(Section):
    """What latency, energy and money are worth against each other."""

    latency_per_s: float = Field(1.0, ge=0)
    energy_per_j: float = Field(0.1, ge=0)
    money_per_call: float = Field(0.0, ge=0)


class Audit(Section):
    """The share of all questions that may be audited."""

    budget: float = Field(0.05, ge=0, le=0.5)


class Rates(Section):
    """Seconds between samples of power, other readings, checks of peers, telemetry, and saves of what was
    learned.

    `smoothing_s` is the time constant by which loads and power are smoothed.
    """

    power_s: float = Field(0.2, ge=0.01)
    sense_s: float = Field(1.0, ge=0.05)
    smoothing_s: float = Field(2.0, ge=0)
    probe_s: float = Field(5.0, gt=0)
    telemetry_s: float = Field(10.0, gt=0)
    checkpoint_s: float = Field(60.0, gt=0)


class Profile(Section):
    """All of a profile; `sources` says where its figures come from."""

    name: str
    extends: str | None = None
    match: Match = Match()
    power: Power
    limits: LimitSettings = LimitSettings()
    models: Models = Models()
    resolutions: tuple[Pixels, ...] = Field((448, 896), min_length=1)
    weights: WeightSettings = WeightSettings()
    floor: float = Field(0.97, gt=0, le=1)
    audit: Audit = Audit()
    rates: Rates = Rates()
    sources: tuple[str, ...] = ()

    def controller_settings(self) -> ControllerSettings:
        """The part of the profile that the decision needs."""
        defaults = ControllerSettings()
        priors: dict[str, Prior] = {}
        tiers: dict[Tier, tuple[ModelPrior, ...]] = {"local": self.models.local, "cloud": self.models.cloud}
        for tier, models in tiers.items():
            base = defaults.local_prior if tier == "local" else defaults.cloud_prior
            for model in models:
                prior = Prior(model.latency_ms or base.latency_ms, model.quality or base.quality)
                for resolution in model.resolutions or self.resolutions:
                    priors[f"{tier}/{model.name}@{resolution}"] = prior
        return ControllerSettings(
            weights=Weights(**self.weights.model_dump()),
            floor=self.floor,
            audit_budget=self.audit.budget,
            limits=Limits(**self.limits.model_dump()),
            priors=priors,
            power=PowerModel(**self.power.model_dump(exclude={"idle_w", "rails", "sees_radio"})),
        )

    def resolutions_of(self, tier: Tier, card: ModelCard) -> tuple[int, ...]:
        """Resolutions to try a model at: the profile's, else what its server says, else the general ones."""
        for known in self.models.local if tier == "local" else self.models.cloud:
            if known.name == card.id and known.resolutions:
                return known.resolutions
        return card.resolutions or self.resolutions
