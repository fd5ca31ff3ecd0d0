"""A calibration repeats until it is sure, says what disturbed it, compares, and may leave the site.

The model server is a fake behind a unix socket that reports how long it computed; the board's sensor is
scripted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest
from aiohttp import web
from typer.testing import CliRunner

from agent.calibration.calibrator import NARROW, Calibrator, Disturbed, Plan
from agent.calibration.comparison import differences
from agent.calibration.interval import half_width
from agent.calibration.profile_yaml import to_yaml
from agent.calibration.public import public, public_name
from agent.calibration.result import ArmTimings, Calibration, PeerPath
from agent.cli.main import app as inarvl
from agent.profile.identity import BoardIdentity
from agent.profile.loading import load_profile
from agent.sensing.sample import PolledSensor, Sample
from vlm.timing import Timing

BASE = load_profile("orin-nano-8gb")
SWIFT = "inarvl-edge-swift"
ANSWER_S = 0.03
BOARD = BoardIdentity("NVIDIA Jetson Orin Nano Developer Kit", 6, 7.99)


class Board:
    """A sensor that says what is next in its script, and the last of it for ever."""

    name = "board"

    def __init__(self, *script: Sample) -> None:
        self._script = list(script)

    def sample(self) -> Sample:
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def close(self) -> None:
        pass


@asynccontextmanager
async def server(socket: Path, computing_ms: Iterator[float]) -> AsyncIterator[str]:
    async def models(_request: web.Request) -> web.Response:
        card = {"id": "m", "object": "model", "inarvl": {"resolutions": [64]}}
        return web.json_response({"object": "list", "data": [card]})

    async def chat(request: web.Request) -> web.Response:
        await request.read()
        await anyio.sleep(ANSWER_S)
        timing = Timing(0, next(computing_ms))
        answer = {"choices": [{"message": {"content": "a wall"}}]}
        return web.json_response(answer, headers={"Server-Timing": timing.to_header()})

    async def healthy(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", chat)])
    for path in ("/healthz", "/readyz"):
        app.router.add_route("*", path, healthy)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        yield f"unix:{socket}"
    finally:
        await runner.cleanup()


async def calibrated(folder: Path, computing_ms: Iterator[float], *script: Sample) -> Calibration:
    sensor = PolledSensor(Board(*script or (Sample(),)), 0.02)
    calibrator = Calibrator(BASE, Plan(idle_s=0.5, runs=6, most_runs=30), lambda *_: None, [sensor])
    async with server(folder / "s", computing_ms) as url:
        return await calibrator.calibrate(url, {})


@pytest.mark.parametrize("count", [6, 9, 15, 30])
def test_the_interval_has_the_median_at_least_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(2000):
        values = np.exp(rng.normal(0.0, 0.5, count))
        width = half_width(values.tolist()) * float(np.median(values))
        ordered = np.sort(values)
        cut = next(
            k for k in range(count) if math.isclose((ordered[-1 - k] - ordered[k]) / 2, width, rel_tol=1e-9)
        )
        held += ordered[cut] <= 1.0 <= ordered[-1 - cut]
    assert held / 2000 > 0.94


def test_five_answers_are_too_few_to_be_sure() -> None:
    assert half_width([1.0] * 5) == math.inf
    assert half_width([1.0] * 6) == 0.0


@pytest.mark.anyio
async def test_a_steady_model_is_asked_six_times_and_the_warming_up_does_not_count(tmp_path: Path) -> None:
    found = await calibrated(tmp_path, itertools.chain([900.0], itertools.repeat(100.0)))
    (arm,) = found.arms
    assert arm.computing_ms == (100.0,) * 6
    assert found.doubts == ()


@pytest.mark.anyio
async def test_a_model_whose_time_varies_is_asked_until_the_interval_is_narrow(tmp_path: Path) -> None:
    found = await calibrated(tmp_path, itertools.cycle([100.0, 112.0, 104.0, 101.0, 103.0, 99.0, 105.0]))
    (arm,) = found.arms
    assert 6 < len(arm.computing_ms) < 30
    assert arm.half_width <= NARROW
    assert found.doubts == ()


@pytest.mark.anyio
async def test_a_time_that_stays_unsure_is_doubtful(tmp_path: Path) -> None:
    found = await calibrated(tmp_path, itertools.cycle([50.0, 200.0]))
    assert len(found.arms[0].computing_ms) == 30
    (doubt,) = found.doubts
    assert doubt.startswith("board: m at 64 px: after 30 answers its time varies ±")
    assert "# Doubtful: board: m" in to_yaml(found, BASE, name="n", date="2026-01-02")


@pytest.mark.anyio
async def test_heat_makes_it_doubtful(tmp_path: Path) -> None:
    found = await calibrated(tmp_path, itertools.repeat(100.0), Sample(throttled=True))
    assert [doubt for doubt in found.doubts if "heat or a power limit" in doubt]


@pytest.mark.anyio
async def test_a_change_of_the_power_mode_ends_it(tmp_path: Path) -> None:
    script = [Sample(power_mode="15W")] * 40 + [Sample(power_mode="MAXN")]
    with pytest.raises(Disturbed, match="from 15W to MAXN") as caught:
        await calibrated(tmp_path, itertools.cycle([50.0, 200.0]), *script)
    assert "repeat" in str(caught.value)


def calibration(**changed: object) -> Calibration:
    fields = {
        "board": BOARD,
        "power_source": "ina",
        "idle_w": BASE.power.idle_w * 1.2,
        "arms": (
            ArmTimings("local", SWIFT, 96, (200.0,) * 6, (None,) * 6, ("board: m at 64 px: varies",)),
            # Of a peer whose id is `board`.
            ArmTimings("cloud", "secret-model", 96, (30.0,), (None,), ("board: secret-model: varies",)),
        ),
        "paths": (PeerPath("cellar-pc", 3.0, 90.0),),
        "memory_available_mb": 5000.0,
        "server_mb": 812.0,
        "skipped": ("peer attic-pc: https://192.0.2.7 refuses",),
    }
    return Calibration(**(fields | changed))  # type: ignore[arg-type]


def test_what_differs_by_more_than_a_quarter_is_said() -> None:
    expected = next(m for m in BASE.models.local if m.name == SWIFT).latency_at(96)
    assert expected is not None
    near, far = expected * 1.2, expected * 1.5
    assert differences(calibration(arms=(ArmTimings("local", SWIFT, 96, (near,), (None,)),)), BASE) == []
    (line,) = differences(calibration(arms=(ArmTimings("local", SWIFT, 96, (far,), (None,)),)), BASE)
    assert line.startswith(f"latency of {SWIFT} at 96 px: {far:.3g} ms, +50% against {expected:g} in ")
    (low,) = differences(calibration(idle_w=BASE.power.idle_w / 2, arms=()), BASE)
    assert low.startswith("idle_w: ")
    assert "-50%" in low


def test_a_file_to_submit_has_no_names_and_addresses() -> None:
    text = to_yaml(public(calibration()), BASE, name=public_name(BOARD), date="2026-01-02")
    for word in ("cellar", "attic", "192.0.2", "secret", "link:"):
        assert word not in text
    assert 'name: "nvidia-jetson-orin-nano-developer-kit"' in text
    assert SWIFT in text
    assert "# Doubtful: board: m at 64 px" in text


def test_the_command_writes_a_file_to_submit_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "agent.yaml"
    site.write_text("device: gate-of-villa\nlocal: null\ndiscovery: {zeroconf: false}\n")
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(inarvl, ["profile", "new", "--submit", "--config", str(site), "--idle-s", "3"])
    assert run.exit_code == 0, run.output
    (written,) = tmp_path.glob(f"{public_name(BoardIdentity.here())}.yaml")
    assert "villa" not in written.read_text()
    assert "pull request" in run.output
