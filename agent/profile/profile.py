"""A hardware profile: what is known of a kind of board before anything is measured on it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from agent.profile.sections import (
    Audit,
    Described,
    LimitSettings,
    LinkPrior,
    Match,
    ModelPrior,
    Models,
    Pixels,
    Power,
    Priors,
    PriorSettings,
    Rates,
    Share,
    WeightSettings,
)
from controller.arm import Tier
from controller.settings import ControllerSettings, Limits, LinkDefaults, PowerModel, Prior, Weights
from vlm.completion import ModelCard

NOT_OF_THE_MODEL = {"idle_w", "rails", "sees_radio"}


class Profile(Described):
    """A hardware profile of inarvl."""

    name: str
    """What it is called in logs and telemetry."""
    extends: str | None = None
    """A bundled profile or a file over which this one lays its figures: mappings merge, lists replace."""
    match: Match = Match()
    power: Power
    limits: LimitSettings = LimitSettings()
    models: Models = Models()
    resolutions: tuple[Pixels, ...] = Field((448, 896), min_length=1)
    """Longest sides in pixels for models of which nobody says more."""
    warm_start: Path | None = None
    """File beside the profile with what is known of its models, made by `inarvl-bench warm-start`."""
    priors: Priors = Priors()
    link: LinkPrior = LinkPrior()
    weights: WeightSettings = WeightSettings()
    floor: Share = 0.97
    """Share of the cloud's accuracy that must be kept in the long run."""
    audit: Audit = Audit()
    rates: Rates = Rates()
    sources: tuple[str, ...] = ()
    """Where the figures come from, a sentence each."""

    @model_validator(mode="after")
    def _can_run(self) -> Profile:
        memory_mb, limit_mb = self.match.memory_gb * 1e9 / 2**20, self.limits.memory_mb
        if memory_mb and limit_mb is not None and limit_mb >= memory_mb:
            raise ValueError(
                f"limits.memory_mb: {limit_mb:.0f} MiB cannot stay free on a board of {memory_mb:.0f}: "
                "is the figure in another unit? write MiB"
            )
        if self.power.local_w == 0:
            raise ValueError("power.local_w: a model that draws nothing would always win; write its watts")
        return self

    @field_validator("warm_start")
    @classmethod
    def _is_there(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(
                f"there is no file {path}: make it with `inarvl-bench warm-start`, or write null"
            )
        return path

    def controller_settings(self) -> ControllerSettings:
        """The part of the profile that the decision needs."""
        priors: dict[str, Prior] = {}
        tiers: dict[Tier, tuple[tuple[ModelPrior, ...], PriorSettings]] = {
            "local": (self.models.local, self.priors.local),
            "cloud": (self.models.cloud, self.priors.cloud),
        }
        for tier, (models, base) in tiers.items():
            for model in models:
                for resolution in model.resolutions or self.resolutions:
                    latency_ms = model.latency_at(resolution) or base.latency_ms
                    priors[f"{tier}/{model.name}@{resolution}"] = Prior(
                        latency_ms, model.quality or base.quality
                    )
        return ControllerSettings(
            weights=Weights(**self.weights.model_dump()),
            floor=self.floor,
            audit_budget=self.audit.budget,
            limits=Limits(**self.limits.model_dump()),
            priors=priors,
            local_prior=Prior(**self.priors.local.model_dump()),
            cloud_prior=Prior(**self.priors.cloud.model_dump()),
            power=PowerModel(**self.power.model_dump(exclude=NOT_OF_THE_MODEL)),
            link=LinkDefaults(**self.link.model_dump()),
        )

    def resolutions_of(self, tier: Tier, card: ModelCard) -> tuple[int, ...]:
        """Resolutions to try a model at: the profile's, else what its server says, else the general ones."""
        for known in self.models.local if tier == "local" else self.models.cloud:
            if known.name == card.id and known.resolutions:
                return known.resolutions
        return card.resolutions or self.resolutions
