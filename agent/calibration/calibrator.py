"""Measuring a machine for its profile: power at rest and at work, its models, its memory and its links.

1. Rest: the board's power is sampled while nothing is asked.
2. Work: every model of the board's server, then of every peer, answers a drawn picture at every resolution,
   once to warm up and then `runs` times.
3. Paths: every peer is pinged and uploaded to.
What is not there is skipped, with the reason.
"""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio
import numpy as np
import psutil
from PIL import Image

from agent.calibration.result import ArmTimings, Calibration, PeerPath
from agent.messages import images
from agent.peers.path import PathEstimator
from agent.peers.registry import PROBE_BYTES
from agent.profile.loading import BoardIdentity
from agent.profile.profile import Profile
from agent.sensing.call_energy import CallEnergyMeter
from agent.sensing.sample import PolledSensor
from agent.sensing.sensing import Sensing
from cloud.peer import PeerRecord
from controller.arm import Tier
from vlm.client import VlmClient
from vlm.errors import VlmError

QUESTION = "what is in the picture?"
TIMEOUT_S = 300.0
PATIENCE_S = 2.0  # for the power at the end of an answer
PINGS, UPLOADS = 8, 4
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure.

    Attributes:
        idle_s: seconds of rest over which the idle power is taken.
        runs: answers of each model at each resolution.
        max_tokens: most tokens of an answer, as in service.
    """

    idle_s: float = 15.0
    runs: int = 5
    max_tokens: int = 64


class Calibrator:
    """Measures the machine it runs on.

    Args:
        base: the profile that says at which resolutions to ask, and what is not measured.
        report: told of progress: what is measured, steps done, steps in all.
        sensors: of this machine; all that inarvl knows when left out.
    """

    def __init__(
        self, base: Profile, plan: Plan, report: Report, sensors: Sequence[PolledSensor] | None = None
    ) -> None:
        self._base = base
        self._plan = plan
        self._report = report
        self._sensing = Sensing.from_profile(base, sensors)
        # Weights divide the power of calls that overlap; here none do.
        self._energy_meter = CallEnergyMeter.from_profile(base, self._sensing, last_sample_s=PATIENCE_S)
        self._skipped: list[str] = []

    async def measure(
        self, local: str | None, peers: Mapping[str, PeerRecord], keys: Mapping[str, str]
    ) -> Calibration:
        """Measure everything: the board's server at `local`, and each of the peers."""
        available_mb = psutil.virtual_memory().available / 2**20
        async with anyio.create_task_group() as background:
            background.start_soon(self._sensing.run)
            idle_w, source = await self._rest()
            arms = await self._board(local)
            links: list[PeerPath] = []
            for name, record in peers.items():
                client = VlmClient(record.url, api_key=keys.get(name))
                try:
                    if not await client.ready():
                        self._skipped.append(f"peer {name}: it is not ready; start it, and repeat")
                        continue
                    links.append(await self._link(name, client))
                    arms += await self._models("cloud", name, client)
                except VlmError as error:
                    self._skipped.append(f"peer {name}: {error}")
                finally:
                    await client.aclose()
            background.cancel_scope.cancel()
        return Calibration(
            BoardIdentity.here(),
            source,
            idle_w,
            tuple(arms),
            tuple(links),
            available_mb,
            server_memory_mb(local),
            tuple(self._skipped),
        )

    async def _rest(self) -> tuple[float | None, str | None]:
        seconds = max(1, round(self._plan.idle_s))
        for second in range(seconds):
            self._report("power at rest", second, seconds)
            await anyio.sleep(self._plan.idle_s / seconds)
        self._report("power at rest", seconds, seconds)
        told = self._sensing.readings().get("power_w")
        if told is None:
            faults = "; ".join(f"{name}: {fault}" for name, fault in self._sensing.faults.items())
            self._skipped.append(f"power: {faults or 'no sensor of this machine tells it'}")
            return None, None
        return self._sensing.energy_meter.idle_w, told.source

    async def _board(self, local: str | None) -> list[ArmTimings]:
        if local is None:
            self._skipped.append("the board's models: the site file names no local server")
            return []
        client = VlmClient(local)
        try:
            if not await client.ready():
                self._skipped.append(
                    f"the board's models: no server is ready at {local}: start inarvl-vlm, and repeat"
                )
                return []
            return await self._models("local", "board", client)
        except VlmError as error:
            self._skipped.append(f"the board's models: {error}")
            return []
        finally:
            await client.aclose()

    async def _models(self, tier: Tier, server: str, client: VlmClient) -> list[ArmTimings]:
        return [
            await self._arm(tier, server, client, card.id, resolution)
            for card in await client.models()
            for resolution in self._base.resolutions_of(tier, card)
        ]

    async def _arm(
        self, tier: Tier, server: str, client: VlmClient, model: str, resolution: int
    ) -> ArmTimings:
        image, what = images.fit(picture(), resolution), f"{server}: {model} at {resolution} px"
        computing_ms: list[float] = []
        joules: list[float | None] = []
        for run in range(self._plan.runs + 1):
            self._report(what, run, self._plan.runs + 1)
            async with self._energy_meter.over(tier) as metered:
                completion = await client.complete(
                    QUESTION, image, model=model, max_tokens=self._plan.max_tokens, timeout_s=TIMEOUT_S
                )
            if run:  # the first one warms up
                computing_ms.append(completion.compute_ms or completion.latency_ms)
                joules.append(metered.joules)
        self._report(what, self._plan.runs + 1, self._plan.runs + 1)
        return ArmTimings(tier, model, resolution, tuple(computing_ms), tuple(joules))

    async def _link(self, name: str, client: VlmClient) -> PeerPath:
        link, what = PathEstimator(), f"{name}: link"
        for probe in range(PINGS + UPLOADS):
            self._report(what, probe, PINGS + UPLOADS)
            link.observe_ping(await client.ping(payload_bytes=0 if probe < PINGS else PROBE_BYTES))
        self._report(what, PINGS + UPLOADS, PINGS + UPLOADS)
        return PeerPath(name, link.state().rtt_ms, link.state().uplink_mbps)


def picture() -> bytes:
    """A drawn picture of 1280 by 960 pixels as JPEG, the same each time."""
    tiles = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(tiles).resize((1280, 960), Image.Resampling.NEAREST).save(file, "JPEG", quality=90)
    return file.getvalue()


def server_memory_mb(local: str | None) -> float | None:
    """Resident memory of the process behind a unix socket, in MiB; None when it cannot be known."""
    if local is None or not local.startswith("unix:"):
        return None
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(local.removeprefix("unix:"))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, _, _ = struct.unpack("3i", credentials)
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except (OSError, psutil.Error):
        return None
