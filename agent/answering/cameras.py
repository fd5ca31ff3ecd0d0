"""The policies of cameras: what of their queries may leave the board.

1. A camera is a client. Where the broker vouches for its name, the policy of that name applies, or else the
   one of everybody else (`*`).
2. Where the name is only a claim, both apply, and the stricter one wins in each point: a claim never allows
   what everybody else may not. All clients without a vouched name share the daily limit of everybody else.
3. `Arms` asks twice: for the options of a decision, and again before each sending, because the site file, or
   the count of the day, may have changed in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.answering.cloud_calls import CloudCalls, CloudCallsSpent, Limit
from agent.config.camera_settings import CameraSettings
from agent.config.client_settings import EVERYBODY
from agent.messages.images import Mask
from agent.spending.spend import SpendLimit
from inarvl.errors import InarvlError


class LocalOnly(InarvlError):
    """Nothing of a camera's queries may leave the board."""

    code = "local_only"


@dataclass(frozen=True)
class CameraPolicy:
    """What applies to one query.

    Attributes:
        camera: the client's name.
        local_only: nothing of it may go to the cloud.
        mask: what is black in pictures for the cloud.
        limits: on the calls that send its pictures to the cloud.
        spend: on what the calls for it may cost.
    """

    camera: str
    local_only: bool = False
    mask: Mask = ()
    limits: tuple[Limit, ...] = ()
    spend: tuple[SpendLimit, ...] = ()


class Cameras:
    """The policies of the site file.

    Args:
        settings: by the name of the client, or EVERYBODY.
        calls: counts the calls of cameras with a limit.
    """

    def __init__(self, settings: Mapping[str, CameraSettings], calls: CloudCalls) -> None:
        self._settings = settings
        self._calls = calls

    @classmethod
    def unrestricted(cls) -> Cameras:
        """Returns cameras without any policy."""
        return cls({}, CloudCalls(lambda _: None))

    def apply(self, settings: Mapping[str, CameraSettings]) -> None:
        """Applies changed policies, also to the queries that are being answered."""
        self._settings = settings

    def policy(self, client: str, *, verified: bool) -> CameraPolicy:
        """Returns what applies to the queries of a client.

        Args:
            verified: whether the broker vouches for its name.
        """
        names = [name for name in (client, EVERYBODY) if name in self._settings]
        if verified:
            names = names[:1]
        found = [(name, self._settings[name]) for name in dict.fromkeys(names)]
        return CameraPolicy(
            client,
            local_only=any(settings.local_only for _, settings in found),
            mask=tuple(polygon for _, settings in found for polygon in settings.mask),
            limits=tuple(
                Limit(client if verified else name, settings.cloud_calls_per_day)
                for name, settings in found
                if settings.cloud_calls_per_day is not None
            ),
            spend=tuple(
                SpendLimit(client if verified else name, settings.spend_per_day)
                for name, settings in found
                if settings.spend_per_day is not None
            ),
        )

    def problem(self, policy: CameraPolicy) -> LocalOnly | CloudCallsSpent | None:
        """Returns why nothing may go to the cloud now; None if it may."""
        if policy.local_only:
            return LocalOnly(f"camera {policy.camera} is local_only: only the board answers it")
        return self._calls.problem(policy.camera, policy.limits)

    async def leave(self, policy: CameraPolicy) -> None:
        """Counts a sending of pictures to the cloud, which is allowed when this returns.

        Raises:
            LocalOnly, CloudCallsSpent: it is not allowed.
        """
        if (problem := self.problem(policy)) is not None:
            raise problem
        await self._calls.spend(policy.camera, policy.limits)
