"""The parts of a hardware profile; the text below a field is what editors show of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from agent.config.yaml_file import Section

MOST_BOARD_W = 500.0
MOST_RADIO_W = 50.0


class Described(Section):
    """A section whose fields are described where they stand."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _in_watts(most_w: float) -> AfterValidator:
    def check(power_w: float) -> float:
        if power_w > most_w:
            raise ValueError(f"{power_w:g} W is over {most_w:g} W: is the figure in milliwatts? write watts")
        return power_w

    return AfterValidator(check)


def _in_celsius(temp_c: float) -> float:
    if temp_c > 1000:
        raise ValueError(f"{temp_c:g} degrees: is the figure in millidegrees? write {temp_c / 1000:g}")
    if not 20 < temp_c <= 120:
        raise ValueError(
            f"{temp_c:g} degrees Celsius is no limit of a board: write 20 to 120, or null for none"
        )
    return temp_c


def _in_percent(charge_pct: float) -> float:
    if 0 < charge_pct < 1:
        raise ValueError(f"{charge_pct:g} %: is the figure a share? write {charge_pct * 100:g}")
    return charge_pct


def _as_share(share: float) -> float:
    if share > 1:
        raise ValueError(f"{share:g} is over 1: is the figure a percentage? write {share / 100:g}")
    return share


def _in_pixels(resolution: int) -> int:
    if not 16 <= resolution <= 8192:
        raise ValueError(f"{resolution} pixels: write the longest side of the image, between 16 and 8192")
    return resolution


Watts = Annotated[float, Field(ge=0), _in_watts(MOST_BOARD_W)]
RadioWatts = Annotated[float, Field(ge=0), _in_watts(MOST_RADIO_W)]
Share = Annotated[float, Field(gt=0), AfterValidator(_as_share)]
Pixels = Annotated[int, AfterValidator(_in_pixels)]
Milliseconds = Annotated[float, Field(gt=0)]


class Match(Described):
    """How the board is recognised: all that is said must hold."""

    model: str | None = None
    """Part of what /proc/device-tree/model says; case counts."""
    cores: int = Field(0, ge=0)
    """Least number of CPU cores."""
    memory_gb: float = Field(0, ge=0)
    """Least memory as the kernel sees it, in 10^9 bytes."""


class Power(Described):
    """What the board draws."""

    idle_w: Watts
    """Watts of the whole board with its models loaded and nothing asked."""
    local_w: Watts
    """Watts above idle while its own model computes."""
    wait_w: Watts
    """Watts above idle while it waits for the cloud."""
    radio_w: RadioWatts
    """Watts above idle of the radio or network card while a request or its answer is on its way."""
    radio_j_per_mb: float = Field(0, ge=0, le=100)
    """Joules for each 10^6 bytes sent, beside radio_w."""
    rails: tuple[str, ...] = ()
    """Names of the monitored rails whose sum is the board's power, where its sensors would choose wrongly."""
    sees_radio: bool = False
    """Whether the power that is measured has the radio or network card in it."""


class LimitSettings(Described):
    """Where the board is left alone; null for no limit."""

    temp_c: Annotated[float, AfterValidator(_in_celsius)] | None = 90
    """Degrees Celsius of the hottest zone from which on the board's model rests."""
    memory_mb: float | None = Field(256, ge=0)
    """MiB that must stay free."""
    battery_pct: Annotated[float, Field(ge=0, le=100), AfterValidator(_in_percent)] | None = 10
    """Charge in percent below which the board's model rests."""


class ModelPrior(Described):
    """A model as it is expected to be, until it has been measured."""

    name: str
    """As its server names it."""
    resolutions: tuple[Pixels, ...] = ()
    """Longest sides in pixels; each is tried as an arm of its own. Default: what the server says."""
    latency_ms: Milliseconds | dict[Pixels, Milliseconds] | None = None
    """Milliseconds of computing one answer on an idle server, for all resolutions or for each."""
    quality: Annotated[float, Field(gt=0), AfterValidator(_as_share)] | None = None
    """Share of answers that are right."""

    def latency_at(self, resolution: int) -> float | None:
        """Milliseconds at that resolution; None when it is not said."""
        if isinstance(self.latency_ms, dict):
            return self.latency_ms.get(resolution)
        return self.latency_ms


class Models(Described):
    """What is expected of the models of each tier; one that is not named is used as its server says."""

    local: tuple[ModelPrior, ...] = ()
    """Models of the board."""
    cloud: tuple[ModelPrior, ...] = ()
    """Models of the peers."""


class PriorSettings(Described):
    """What is expected of a model that is not named under models."""

    latency_ms: Milliseconds
    """Milliseconds of computing one answer on an idle server."""
    quality: Share
    """Share of answers that are right."""


class Priors(Described):
    """What is expected of models that are not named."""

    local: PriorSettings = PriorSettings(latency_ms=400, quality=0.6)
    """Of the board."""
    cloud: PriorSettings = PriorSettings(latency_ms=300, quality=0.85)
    """Of a peer."""


class LinkPrior(Described):
    """What a path to a peer is taken for until it has been measured."""

    rtt_ms: Milliseconds = 100
    """Milliseconds of a round trip."""
    uplink_mbps: float = Field(5, gt=0)
    """Megabits per second from the board to the peer."""


class WeightSettings(Described):
    """What latency, energy and money are worth against each other; only their proportions count."""

    latency_per_s: float = Field(1.0, ge=0)
    """Cost of a second."""
    energy_per_j: float = Field(0.1, ge=0)
    """Cost of a joule of the board."""
    money_per_call: float = Field(0.0, ge=0)
    """Cost of a call to the cloud."""


class Audit(Described):
    """How much is spent on knowing the board's quality."""

    budget: float = Field(0.05, ge=0, le=0.5)
    """Share of all questions that may also be sent to the cloud to compare."""


class Rates(Described):
    """How often things are done, in seconds."""

    power_s: float = Field(0.2, ge=0.01)
    """Between samples of the board's power."""
    sense_s: float = Field(1.0, ge=0.05)
    """Between other readings of the board."""
    smoothing_s: float = Field(2.0, ge=0)
    """Time constant by which loads and power are smoothed."""
    probe_s: float = Field(5.0, gt=0)
    """Between checks of a peer."""
    telemetry_s: float = Field(10.0, gt=0)
    """Between telemetry messages."""
    checkpoint_s: float = Field(60.0, gt=0)
    """Between saves of what was learned."""
