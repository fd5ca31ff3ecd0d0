"""The sections of a hardware profile. Editors show the docstring below each field."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from agent.profile.described import Described
from agent.profile.watts import RadioWatts, Watts

MQTT_SOURCE = "mqtt:"


def _in_celsius(temp_c: float) -> float:
    if temp_c > 1000:
        raise ValueError(f"{temp_c:g} degrees: is the value in millidegrees? write {temp_c / 1000:g}")
    if not 20 < temp_c <= 120:
        raise ValueError(
            f"{temp_c:g} degrees Celsius is not a plausible limit: write 20 to 120, or null for no limit"
        )
    return temp_c


def _in_percent(charge_pct: float) -> float:
    if 0 < charge_pct < 1:
        raise ValueError(f"{charge_pct:g} %: is the value a share? write {charge_pct * 100:g}")
    return charge_pct


def _as_share(share: float) -> float:
    if share > 1:
        raise ValueError(f"{share:g} is over 1: is the value a percentage? write {share / 100:g}")
    return share


def _as_source(source: str) -> str:
    topic = source.removeprefix(MQTT_SOURCE)
    if not source.startswith(MQTT_SOURCE) or not topic or set("+#\0") & set(topic):
        raise ValueError(f"{source!r}: write `{MQTT_SOURCE}` and the topic of a plug, without + and #")
    return source


def _in_pixels(resolution: int) -> int:
    if not 16 <= resolution <= 8192:
        raise ValueError(f"{resolution} pixels: write the longest side of the image, between 16 and 8192")
    return resolution


Share = Annotated[float, Field(gt=0), AfterValidator(_as_share)]
Pixels = Annotated[int, AfterValidator(_in_pixels)]
Milliseconds = Annotated[float, Field(gt=0)]


class Power(Described):
    """Power of the board."""

    idle_w: Watts
    """Watts of the whole board with models loaded and no request running."""
    local_w: Watts
    """Watts above idle while the board's own model computes."""
    wait_w: Watts
    """Watts above idle while the board waits for the cloud."""
    radio_w: RadioWatts
    """Watts above idle of the radio or network card while it transfers a request or its answer."""
    radio_j_per_mb: float = Field(0, ge=0, le=100)
    """Joules for each 10^6 bytes sent, in addition to radio_w."""
    core_w: Watts = 1.5
    """Watts above idle of one busy processor core: what the agent itself needs is modelled with it."""
    rails: tuple[str, ...] = ()
    """Names of the monitored rails whose sum is the board's power, if the sensor's own choice is wrong."""
    sees_radio: bool = False
    """Whether the measured power includes the radio or network card."""
    mode: str | None = None
    """Name of the power mode in which idle_w and local_w hold; it is listed under power_modes."""
    source: Annotated[str, AfterValidator(_as_source)] | None = None
    """Where the board's power comes from, instead of its own sensors: `mqtt:TOPIC` of a smart plug."""
    max_age_s: float = Field(30, gt=0, le=3600)
    """Seconds after which a message of the plug is too old to be used."""


class LimitSettings(Described):
    """Limits beyond which the board's model is not used; null for no limit."""

    temp_c: Annotated[float, AfterValidator(_in_celsius)] | None = 90
    """Temperature of the hottest zone, in degrees Celsius, from which the board's model is not used."""
    memory_mb: float | None = Field(256, ge=0)
    """Memory that must stay free, in MiB."""
    battery_pct: Annotated[float, Field(ge=0, le=100), AfterValidator(_in_percent)] | None = 10
    """Charge of the battery, in percent, below which the board's model is not used."""


class ModelPrior(Described):
    """Expected properties of a model, used until they are measured."""

    name: str
    """Name of the model on its server."""
    resolutions: tuple[Pixels, ...] = ()
    """Longest sides of images in pixels; each is a separate arm. Default: as the server reports."""
    latency_ms: Milliseconds | dict[Pixels, Milliseconds] | None = None
    """Milliseconds to compute one answer on an idle server: one value, or one for each resolution."""
    quality: Annotated[float, Field(gt=0), AfterValidator(_as_share)] | None = None
    """Share of its answers that are correct, 0 to 1."""
    max_images: int | None = Field(None, ge=1)
    """Most images that one question to it may have. Default: as the server reports, else no limit."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest that its server must report, as `inarvl-vlm digest` prints it; else the model is not used."""

    def latency_at(self, resolution: int) -> float | None:
        """Returns the milliseconds at that resolution; None if they are not given."""
        if isinstance(self.latency_ms, dict):
            return self.latency_ms.get(resolution)
        return self.latency_ms


class Models(Described):
    """Expected properties of the models of each tier; models that are not listed are used too."""

    local: tuple[ModelPrior, ...] = ()
    """Models on the board."""
    cloud: tuple[ModelPrior, ...] = ()
    """Models on the cloud peers."""


class PriorSettings(Described):
    """Expected properties of a model that is not listed under models."""

    latency_ms: Milliseconds
    """Milliseconds to compute one answer on an idle server."""
    quality: Share
    """Share of its answers that are correct, 0 to 1."""


class Priors(Described):
    """Expected properties of models that are not listed under models."""

    local: PriorSettings = PriorSettings(latency_ms=400, quality=0.6)
    """Models on the board."""
    cloud: PriorSettings = PriorSettings(latency_ms=300, quality=0.85)
    """Models on a cloud peer."""


class LinkPrior(Described):
    """Assumed network path to a peer, until it is measured."""

    rtt_ms: Milliseconds = 100
    """Round trip time in milliseconds."""
    uplink_mbps: float = Field(5, gt=0)
    """Upload rate from the board to the peer in megabits per second."""


class WeightSettings(Described):
    """Relative cost of latency, energy and money; only their ratios matter."""

    latency_per_s: float = Field(1.0, ge=0)
    """Cost of one second."""
    energy_per_j: float = Field(0.1, ge=0)
    """Cost of one joule used by the board."""
    money_per_call: float = Field(0.0, ge=0)
    """Cost of one call to the cloud, whatever its price."""
    money_per_unit: float = Field(100.0, ge=0)
    """Cost of one unit of the currency, for models with a price; 0.01 of it then counts like a second."""


class Audit(Described):
    """Audits, which estimate the accuracy of the board's answers."""

    budget: float = Field(0.05, ge=0, le=0.5)
    """Largest share of all questions that are also sent to the cloud, to compare the answers."""


class Rates(Described):
    """Intervals in seconds."""

    power_s: float = Field(0.2, ge=0.01)
    """Seconds between samples of the board's power."""
    sense_s: float = Field(1.0, ge=0.05)
    """Seconds between samples of the other sensors."""
    smoothing_s: float = Field(2.0, ge=0)
    """Time constant for the smoothing of loads and power, in seconds."""
    probe_s: float = Field(5.0, gt=0)
    """Seconds between checks of a peer."""
    telemetry_s: float = Field(10.0, gt=0)
    """Seconds between telemetry messages."""
    checkpoint_s: float = Field(60.0, gt=0)
    """Seconds between saves of what was learned."""
