"""Measures a machine for its profile: its idle power, its models, its memory and its network paths.

1. Idle: the board's power is sampled while there are no requests.
2. Models: every model of the board's server, then of every peer, answers a question about a generated picture
   at every resolution: once to warm up, then until the 95% interval of the median time is narrow.
3. Paths: pings and uploads to every peer.
What cannot be measured is skipped, with the reason. What heat or other programs disturbed is marked as
doubtful. If the power mode changes meanwhile, there is no result: it would be of neither mode.
"""

from __future__ import annotations

import io
import math
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio
import numpy as np
import psutil
from PIL import Image

from agent.calibration.interval import half_width
from agent.calibration.result import ArmTimings, Calibration, PeerPath
from agent.messages import images
from agent.peers.network_path import PathEstimator
from agent.peers.peer import PROBE_BYTES
from agent.profile.identity import BoardIdentity
from agent.profile.profile import Profile
from agent.sensing.call_energy import CallEnergyMeter
from agent.sensing.plug import Plug
from agent.sensing.sample import PolledSensor
from agent.sensing.sensing import Sensing
from controller.arm import Tier
from inarvl.errors import InarvlError
from vlm.client import VlmClient
from vlm.errors import VlmError

QUESTION = "what is in the picture?"
ANSWER_TIMEOUT_S = 300.0
LAST_SAMPLE_S = 2.0  # longest wait for the power sample at the end of an answer
PINGS, UPLOADS = 8, 4
NARROW = 0.05  # half the interval of a median time, as a share of it
ReportProgress = Callable[[str, int, int], None]


class Disturbed(InarvlError):
    """The machine changed while it was measured; the message says what to do."""

    code = "calibration_disturbed"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        idle_s: seconds over which the idle power is measured.
        runs: least answers of each model at each resolution.
        most_runs: answers after which no more are asked for, however much their times vary.
        max_tokens: limit of tokens in an answer; should be that of the agent.
    """

    idle_s: float = 15.0
    runs: int = 6
    most_runs: int = 30
    max_tokens: int = 64


class Calibrator:
    """Measures the machine it runs on.

    Args:
        base: the profile with the resolutions to measure, and with the values that cannot be measured.
        report: called with the name of the present step, how much of it is done, and its total.
        sensors: the sensors to read; by default all of this machine.
        plug: the plug that measures the board, if the base names one.
    """

    def __init__(
        self,
        base: Profile,
        plan: Plan,
        report: ReportProgress,
        sensors: Sequence[PolledSensor] | None = None,
        plug: Plug | None = None,
    ) -> None:
        self._base = base
        self._plan = plan
        self._report = report
        self._sensing = Sensing.from_profile(base, sensors, plug=plug)
        # The profile's power weights calls that overlap; here no calls overlap.
        self._energy_meter = CallEnergyMeter.from_profile(base, self._sensing, last_sample_s=LAST_SAMPLE_S)
        self._skipped: list[str] = []
        self._power_mode: str | None = None

    async def calibrate(self, local: str | None, peers: Mapping[str, VlmClient]) -> Calibration:
        """Measures everything.

        Args:
            local: URL of the board's own server, if it has one.
            peers: a client for each peer, by its id; they are closed.

        Raises:
            Disturbed: the power mode changed meanwhile.
        """
        found: Calibration | Disturbed
        async with anyio.create_task_group() as background:
            background.start_soon(self._sensing.run)
            try:
                found = await self._measure(local, peers)
            except Disturbed as error:  # to be raised outside the group, which would wrap it
                found = error
            finally:
                for client in peers.values():
                    await client.aclose()
            background.cancel_scope.cancel()
        if isinstance(found, Disturbed):
            raise found
        return found

    async def _measure(self, local: str | None, peers: Mapping[str, VlmClient]) -> Calibration:
        available_mb = psutil.virtual_memory().available / 2**20
        idle_w, power_source = await self._idle_power()
        arms = await self._board(local)
        paths: list[PeerPath] = []
        for name, client in peers.items():
            try:
                if not await client.ready():
                    self._skipped.append(f"peer {name}: it is not ready; start it, and repeat")
                    continue
                paths.append(await self._path(name, client))
                arms += await self._models("cloud", name, client)
            except VlmError as error:
                self._skipped.append(f"peer {name}: {error}")
        self._note_power_mode()
        return Calibration(
            BoardIdentity.here(),
            power_source,
            idle_w,
            tuple(arms),
            tuple(paths),
            available_mb,
            server_memory_mb(local),
            tuple(self._skipped),
            self._power_mode,
        )

    def _note_power_mode(self) -> None:
        before, now = self._power_mode, self._sensing.state.power_mode
        if before is not None and now is not None and before != now:
            raise Disturbed(
                f"the power mode changed from {before} to {now} during the calibration: choose one (on a "
                "Jetson with nvpmodel), leave it, and repeat"
            )
        self._power_mode = now or before

    async def _idle_power(self) -> tuple[float | None, str | None]:
        """The idle power in watts, and the sensor that measured it."""
        step, seconds = "idle power", max(1, round(self._plan.idle_s))
        for second in range(seconds):
            self._report(step, second, seconds)
            await anyio.sleep(self._plan.idle_s / seconds)
        self._report(step, seconds, seconds)
        self._note_power_mode()
        power = self._sensing.readings().get("power_w")
        if power is None:
            faults = "; ".join(f"{name}: {fault}" for name, fault in self._sensing.faults.items())
            self._skipped.append(f"power: {faults or 'this machine has no power sensor'}")
            return None, None
        return self._sensing.energy_meter.idle_w, power.source

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
        image, step = images.fit(picture(), resolution), f"{server}: {model} at {resolution} px"
        computing_ms: list[float] = []
        joules: list[float | None] = []
        warm = throttled = False
        while len(computing_ms) < self._plan.runs or (
            len(computing_ms) < self._plan.most_runs and half_width(computing_ms) > NARROW
        ):
            done = len(computing_ms)
            self._report(step, done, max(self._plan.runs, done + 1))
            async with self._energy_meter.over(tier) as energy:
                completion = await client.complete(
                    QUESTION,
                    image,
                    model=model,
                    max_tokens=self._plan.max_tokens,
                    timeout_s=ANSWER_TIMEOUT_S,
                )
            self._note_power_mode()
            throttled |= tier == "local" and self._sensing.state.throttled is True
            if warm:
                computing_ms.append(completion.compute_ms or completion.latency_ms)
                joules.append(energy.joules)
            warm = True
        self._report(step, len(computing_ms), len(computing_ms))
        doubts: list[str] = []
        if throttled:
            doubts.append(f"{step}: heat or a power limit held the clocks down; cool the board, and repeat")
        if (width := half_width(computing_ms)) > NARROW:
            how_much = f"±{width:.0%}" if math.isfinite(width) else "by an unknown amount"
            doubts.append(
                f"{step}: after {len(computing_ms)} answers its time varies {how_much}; stop other programs, "
                "and repeat"
            )
        return ArmTimings(tier, model, resolution, tuple(computing_ms), tuple(joules), tuple(doubts))

    async def _path(self, name: str, client: VlmClient) -> PeerPath:
        path, step, probes = PathEstimator(), f"{name}: network path", PINGS + UPLOADS
        for probe in range(probes):
            self._report(step, probe, probes)
            path.observe_ping(await client.ping(payload_bytes=0 if probe < PINGS else PROBE_BYTES))
        self._report(step, probes, probes)
        return PeerPath(name, path.state().rtt_ms, path.state().uplink_mbps)


def picture() -> bytes:
    """Returns a generated JPEG picture of 1280 by 960 pixels, always the same."""
    tiles = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(tiles).resize((1280, 960), Image.Resampling.NEAREST).save(file, "JPEG", quality=90)
    return file.getvalue()


def server_memory_mb(local: str | None) -> float | None:
    """Returns the resident memory, in MiB, of the process behind a unix socket; None if it is unknown."""
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
