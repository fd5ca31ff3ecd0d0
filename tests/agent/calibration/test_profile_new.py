"""A calibration measures a machine and writes a valid profile.

The model server is a fake behind a unix socket; the power is scripted and rises while the server answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from agent.calibration.calibrator import Calibrator, Plan, picture, server_memory_mb
from agent.calibration.profile_yaml import to_yaml
from agent.calibration.result import ArmTimings, Calibration, PeerPath
from agent.cli.main import app as inarvl
from agent.profile.identity import BoardIdentity
from agent.profile.loading import load_profile
from agent.sensing.sample import PolledSensor, Sample
from agent.standalone.broker import free_port
from vlm.client import VlmClient
from vlm.timing import Timing

IDLE_W, WORK_W = 5.0, 8.0
ANSWER_S = 0.3  # much longer than the delays of a busy machine
BASE = load_profile("generic-x86")


class Ammeter:
    """Reports the mean power since its last sample, as an energy counter does."""

    name = "ammeter"

    def __init__(self) -> None:
        self._working_s, self._before = 0.0, (time.monotonic(), 0.0)
        self._began: float | None = None

    def work(self, on: bool) -> None:
        now = time.monotonic()
        if not on and self._began is not None:
            self._working_s += now - self._began
        self._began = now if on else None

    def sample(self) -> Sample:
        now = time.monotonic()
        working_s = self._working_s + (now - self._began if self._began is not None else 0.0)
        (then, before_s), self._before = self._before, (now, working_s)
        return Sample(power_w=IDLE_W + WORK_W * (working_s - before_s) / max(1e-6, now - then))

    def close(self) -> None:
        pass


@asynccontextmanager
async def server(ammeter: Ammeter, socket: Path, port: int) -> AsyncIterator[None]:
    """Serves one model at two resolutions, both as the board's server and as a peer."""

    async def models(_request: web.Request) -> web.Response:
        card = {"id": "m", "object": "model", "inarvl": {"resolutions": [64, 96]}}
        return web.json_response({"object": "list", "data": [card]})

    async def chat(request: web.Request) -> web.Response:
        await request.read()
        began = time.monotonic()
        ammeter.work(True)
        await asyncio.sleep(ANSWER_S)
        ammeter.work(False)
        timing = Timing(0, (time.monotonic() - began) * 1e3)
        answer = {"choices": [{"message": {"content": "a wall"}}]}
        return web.json_response(answer, headers={"Server-Timing": timing.to_header()})

    async def probe(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({}, headers={"Server-Timing": Timing(0, 0).to_header()})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", chat)
    for path in ("/healthz", "/readyz", "/probe"):
        app.router.add_route("*", path, probe)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.mark.anyio
async def test_power_models_and_network_paths_are_measured(tmp_path: Path) -> None:
    ammeter, port, reported = Ammeter(), free_port(), dict[str, tuple[int, int]]()
    base = BASE.model_copy(update={"rates": BASE.rates.model_copy(update={"power_s": 0.5})})
    calibrator = Calibrator(
        base,
        Plan(idle_s=2, runs=2),
        lambda step, done, total: reported.update({step: (done, total)}),
        [PolledSensor(ammeter, 0.5, resolution_s=0.05)],
    )
    peers = {
        "near": VlmClient(f"http://127.0.0.1:{port}"),
        "gone": VlmClient(f"http://127.0.0.1:{free_port()}"),
    }
    async with server(ammeter, tmp_path / "s", port):
        calibration = await calibrator.calibrate(f"unix:{tmp_path}/s", peers)
    assert calibration.power_source == "ammeter"
    assert calibration.idle_w == pytest.approx(IDLE_W)
    assert [(arm.tier, arm.resolution) for arm in calibration.arms] == [
        ("local", 64),
        ("local", 96),
        ("cloud", 64),
        ("cloud", 96),
    ]
    assert all(arm.latency_ms >= 1e3 * ANSWER_S for arm in calibration.arms)
    assert calibration.power_w("local") == pytest.approx(WORK_W, rel=0.05)
    (path,) = calibration.paths
    assert path.rtt_ms is not None
    assert path.uplink_mbps is not None
    assert [reason.partition(":")[0] for reason in calibration.skipped] == ["peer gone"]
    assert calibration.server_mb is not None
    assert all(done == total for done, total in reported.values())
    assert {"idle power", "board: m at 64 px", "near: network path"} <= reported.keys()


def calibration(**changed: object) -> Calibration:
    arms = (
        ArmTimings("local", "inarvl-edge-swift", 96, (25.0, 31.0, 26.04), (0.2, 0.3, 0.25)),
        ArmTimings("local", "other", 448, (900.0,), (4.0,)),
        ArmTimings("cloud", "big", 96, (30.0,), (0.01,)),
    )
    fields = {
        "board": BoardIdentity("NVIDIA Jetson Orin Nano Developer Kit", 6, 7.99),
        "power_source": "ina",
        "idle_w": 4.7123,
        "arms": arms,
        "paths": (PeerPath("far", 80.0, 5.0), PeerPath("near", 3.21, 94.2)),
        "memory_available_mb": 5000.0,
        "server_mb": 812.0,
        "skipped": (),
    }
    return Calibration(**(fields | changed))  # type: ignore[arg-type]


def test_the_written_profile_has_the_measured_values(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(to_yaml(calibration(), load_profile("orin-nano-8gb"), name="gate", date="2026-01-02"))
    profile = load_profile(str(path))
    assert (profile.name, profile.power.idle_w) == ("gate", 4.71)
    assert profile.power.local_w == pytest.approx(4.75 / 0.98204, rel=0.01)
    first, other = profile.models.local
    assert first.latency_at(96) == 26.0
    assert first.quality == load_profile("orin-nano-8gb").models.local[0].quality
    assert other.quality is None
    assert profile.controller_settings().priors["local/other@448"].latency_ms == 900
    assert (profile.link.rtt_ms, profile.link.uplink_mbps) == (3.21, 94.2)
    assert BoardIdentity("NVIDIA Jetson Orin Nano Developer Kit", 6, 7.9).fits(profile.match)
    assert "measured by ina on 2026-01-02" in profile.sources[0]


@pytest.mark.parametrize(
    ("mode", "written", "local_w"),
    [("MODE_25W", "25W", 4.84), ("OWN", None, 4.84), (None, None, 4.84)],
)
def test_the_measured_power_is_that_of_the_power_mode_in_which_it_was_measured(
    tmp_path: Path, mode: str | None, written: str | None, local_w: float
) -> None:
    path = tmp_path / "gate.yaml"
    text = to_yaml(
        calibration(power_mode=mode), load_profile("orin-nano-8gb"), name="gate", date="2026-01-02"
    )
    path.write_text(text)
    profile = load_profile(str(path))
    assert profile.power.mode == written
    assert profile.power_in(mode).local_w == pytest.approx(local_w, abs=0.01)


def test_values_that_were_not_measured_are_comments_and_come_from_the_base(tmp_path: Path) -> None:
    path = tmp_path / "box.yaml"
    nothing_measured = calibration(
        board=BoardIdentity("", 4, 8.0),
        power_source=None,
        idle_w=None,
        arms=(),
        paths=(),
        server_mb=None,
        skipped=("power: none",),
    )
    path.write_text(to_yaml(nothing_measured, BASE, name="box: a\u00df", date="2026-01-02"))
    profile = load_profile(str(path))
    assert (profile.name, profile.power, profile.models) == ("box: a\u00df", BASE.power, BASE.models)
    assert "# Not measured: power: none" in path.read_text()
    assert "# local_w: 15  # watts; not measured, from generic-x86" in path.read_text()


def test_the_picture_is_always_the_same() -> None:
    assert picture() == picture()


def test_the_memory_of_a_missing_server_is_unknown(tmp_path: Path) -> None:
    assert server_memory_mb(f"unix:{tmp_path}/none") is None
    assert server_memory_mb("http://localhost:1") is None


def test_the_command_measures_a_profile_and_replaces_no_existing_file(tmp_path: Path) -> None:
    site, output = tmp_path / "agent.yaml", tmp_path / "mine.yaml"
    site.write_text("device: mine\nlocal: null\ndiscovery: {zeroconf: false}\n")
    command = ["profile", "new", "--config", str(site), "--output", str(output), "--idle-s", "3"]
    first = CliRunner().invoke(inarvl, command)
    assert first.exit_code == 0, first.output
    assert load_profile(str(output)).name == "mine"
    assert "the site file names no local server" in first.output
    again = CliRunner().invoke(inarvl, command)
    assert again.exit_code == 1
    assert "--force" in again.output


def test_profiles_are_listed_shown_and_checked(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "thor" in run(inarvl, ["profile", "list"]).output
    shown = run(inarvl, ["profile", "show", "thor"]).output
    (tmp_path / "whole.yaml").write_text(shown.replace("extends: orin-nano-8gb\n", ""))
    assert load_profile(str(tmp_path / "whole.yaml")).power == load_profile("thor").power
    (tmp_path / "bad.yaml").write_text("name: bad\nextends: thor\npower: {idle_w: 5000}\n")
    checked = run(inarvl, ["profile", "check", str(tmp_path / "whole.yaml"), str(tmp_path / "bad.yaml")])
    assert checked.exit_code == 1
    assert "whole.yaml: valid" in checked.output
    assert "power.idle_w: 5000 W is over 500 W" in checked.output.replace("\n", "")
