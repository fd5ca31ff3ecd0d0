"""A telemetry message as a console reads it: of any version of the agent, or of some other program."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inarvl.errors import InarvlError


class BadTelemetry(InarvlError):
    """The retained telemetry is not that of an agent."""

    code = "bad_telemetry"


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SeenLink(_Seen):
    """The link to a server, as far as it was measured."""

    rtt_ms: float | None = None
    uplink_mbps: float | None = None


class SeenServer(_Seen):
    """A model server and its state."""

    id: str
    tier: Literal["local", "cloud"]
    url: str = ""
    trust: str | None = None
    trust_reason: str = ""
    healthy: bool
    problem: str | None = None
    models: tuple[str, ...] = ()
    link: SeenLink | None = None


class SeenForm(_Seen):
    """The comparisons of answers of one form."""

    compared: int
    mean_p_same: float
    judged_share: float


class SeenTrial(_Seen):
    """Whether a model is used as a judge, and why."""

    used: bool
    finding: str


class SeenJudge(_Seen):
    """What judging did, and what it used."""

    models: dict[str, SeenTrial] = Field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    energy_j: float = 0.0


class SeenAgreement(_Seen):
    """How often answers agree."""

    forms: dict[str, SeenForm] = Field(default_factory=dict)
    judge: SeenJudge = SeenJudge()
    warnings: tuple[str, ...] = ()


class SeenCamera(_Seen):
    """A camera that the agent watches."""

    camera: str
    failing: bool = False
    error: str | None = None
    picture_age_s: float | None = None
    asked: int = 0
    answered: int = 0
    dropped: int = 0


class SeenSpend(_Seen):
    """What was spent today."""

    currency: str = ""
    today: float = 0.0
    per_day: float | None = None
    purposes: dict[str, float] = Field(default_factory=dict)


class SeenTelemetry(_Seen):
    """What the console shows."""

    problems: tuple[str, ...] = ()
    servers: tuple[SeenServer, ...]
    controller: dict[str, Any] = Field(default_factory=dict)
    device: dict[str, Any] = Field(default_factory=dict)
    agreement: SeenAgreement = SeenAgreement()
    cameras: tuple[SeenCamera, ...] = ()
    spend: SeenSpend = SeenSpend()

    @classmethod
    def of(cls, content: dict[str, Any]) -> SeenTelemetry:
        """Returns what is shown of a message.

        Raises:
            BadTelemetry: it is not that of an agent.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise BadTelemetry(_advice(f"{place}: {first['msg']}")) from None


def telemetry_object(payload: str) -> dict[str, Any]:
    """Reads the payload of a telemetry message.

    Raises:
        BadTelemetry: it is not a JSON object.
    """
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadTelemetry(_advice(f"it is not JSON ({error})")) from None
    if not isinstance(content, dict):
        raise BadTelemetry(_advice("it is not a JSON object"))
    return content


def _advice(problem: str) -> str:
    return (
        f"the broker has telemetry that no agent sent: {problem}. Find what else publishes on the agent's "
        "topics, and give the broker an access list (docs/mqtt-access.md)"
    )
