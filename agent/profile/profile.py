"""A hardware profile: the known or estimated properties of a kind of board, used until it is measured."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from agent.profile.described import Described
from agent.profile.match import Match
from agent.profile.power_modes import PowerMode, find_mode
from agent.profile.sections import (
    Audit,
    LimitSettings,
    LinkPrior,
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

SENSOR_FIELDS = {"idle_w", "rails", "sees_radio", "mode", "source", "max_age_s", "core_w"}


class Profile(Described):
    """A hardware profile of inarvl."""

    name: str
    """Name of the profile in logs and telemetry."""
    extends: str | None = None
    """Bundled profile or file that this one extends: mappings are merged, other values are replaced."""
    match: Match = Match()
    power: Power
    power_modes: tuple[PowerMode, ...] = ()
    """The board's power modes; its power follows a change of the mode."""
    limits: LimitSettings = LimitSettings()
    models: Models = Models()
    resolutions: tuple[Pixels, ...] = Field((448, 896), min_length=1)
    """Longest sides of images in pixels, for models whose resolutions are not known otherwise."""
    warm_start: Path | None = None
    """File beside the profile with prior knowledge of the models, made by `inarvl-bench warm-start`."""
    priors: Priors = Priors()
    link: LinkPrior = LinkPrior()
    weights: WeightSettings = WeightSettings()
    floor: Share = 0.97
    """Share of the cloud's accuracy that must be kept in the long run, 0 to 1."""
    audit: Audit = Audit()
    rates: Rates = Rates()
    sources: tuple[str, ...] = ()
    """Where the values come from, one sentence for each."""

    @model_validator(mode="after")
    def _is_plausible(self) -> Profile:
        memory_mb, limit_mb = self.match.memory_gb * 1e9 / 2**20, self.limits.memory_mb
        if memory_mb and limit_mb is not None and limit_mb >= memory_mb:
            raise ValueError(
                f"limits.memory_mb: {limit_mb:.0f} MiB cannot stay free on a board with {memory_mb:.0f} MiB: "
                "is the value in another unit? write MiB"
            )
        if self.power.mode is not None and find_mode(self.power_modes, self.power.mode) is None:
            names = ", ".join(mode.name for mode in self.power_modes) or "none"
            raise ValueError(f"power.mode: {self.power.mode} is not one of power_modes ({names})")
        if self.power.local_w == 0:
            raise ValueError("power.local_w: a model without power would always be chosen; write its watts")
        return self

    @field_validator("warm_start")
    @classmethod
    def _exists(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(
                f"there is no file {path}: make it with `inarvl-bench warm-start`, or write null"
            )
        return path

    def power_in(self, mode: str | None) -> Power:
        """Returns the board's power in a power mode, by its name or number; `power` if it is not known.

        A mode without `local_w` uses that of `power` in proportion to the budgets of the two modes.
        """
        now, described = find_mode(self.power_modes, mode), find_mode(self.power_modes, self.power.mode)
        if now is None or now == described:
            return self.power
        local_w = now.local_w
        if local_w is None and now.budget_w and described is not None and described.budget_w:
            local_w = self.power.local_w * now.budget_w / described.budget_w
        known = {"idle_w": now.idle_w, "local_w": local_w}
        return self.power.model_copy(
            update={name: watts for name, watts in known.items() if watts is not None}
        )

    def power_model(self, mode: str | None = None) -> PowerModel:
        """Returns what the board draws beyond its idle power, in a power mode."""
        return PowerModel(**self.power_in(mode).model_dump(exclude=SENSOR_FIELDS))

    def controller_settings(self) -> ControllerSettings:
        """Returns the settings of the controller."""
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
            power=self.power_model(),
            link=LinkDefaults(**self.link.model_dump()),
        )

    def resolutions_of(self, tier: Tier, card: ModelCard) -> tuple[int, ...]:
        """Returns the resolutions to try for a model: the profile's, else its server's, else the default."""
        known = self._known(tier, card)
        return (known and known.resolutions) or card.resolutions or self.resolutions

    def max_images_of(self, tier: Tier, card: ModelCard) -> int | None:
        """Returns the most images of a question to a model: the profile's, else its server's, else None."""
        known = self._known(tier, card)
        return (known and known.max_images) or card.max_images

    def sha256_of(self, tier: Tier, card: ModelCard) -> str | None:
        """Returns the digest that a model's files must have; None if the profile has none."""
        known = self._known(tier, card)
        return None if known is None else known.sha256

    def _known(self, tier: Tier, card: ModelCard) -> ModelPrior | None:
        models = self.models.local if tier == "local" else self.models.cloud
        return next((model for model in models if model.name == card.id), None)
