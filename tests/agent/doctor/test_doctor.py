"""The doctor finds what is wrong, says what to do, and its exit status tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.config.settings import Settings
from agent.doctor import machine, network
from agent.doctor.doctor import worst
from agent.doctor.finding import failed, ok, warning
from agent.profile.loading import load_profile
from lab.demo.broker import free_port

PROFILE = load_profile("generic-x86")


def settings(tmp_path: Path, **changed: object) -> Settings:
    fields = {"device": "d", "state_dir": tmp_path, "local": None, "discovery": {"zeroconf": False}}
    return Settings.model_validate(fields | changed)


@pytest.mark.anyio
async def test_a_broker_that_passes_messages_on_is_well(broker: Any, tmp_path: Path) -> None:
    site = settings(tmp_path, broker={"url": f"mqtt://127.0.0.1:{broker.port}"})
    assert [finding.verdict for finding in await network.broker(site, PROFILE)] == ["ok"]


@pytest.mark.anyio
async def test_no_broker_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PATIENCE_S", 0.5)
    site = settings(tmp_path, broker={"url": f"mqtt://127.0.0.1:{free_port()}"})
    (finding,) = await network.broker(site, PROFILE)
    assert finding.verdict == "failed"
    assert "broker.url" in finding.remedy


@pytest.mark.anyio
async def test_a_model_server_that_is_not_there_fails_and_none_wanted_is_well(tmp_path: Path) -> None:
    (missing,) = await network.model(settings(tmp_path, local=f"unix:{tmp_path}/none"), PROFILE)
    (unwanted,) = await network.model(settings(tmp_path), PROFILE)
    assert (missing.verdict, unwanted.verdict) == ("failed", "ok")


@pytest.mark.anyio
async def test_peers_are_asked(tmp_path: Path) -> None:
    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    app, port = web.Application(), free_port()
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    site = settings(
        tmp_path,
        peers=[
            {"id": "well", "url": f"http://127.0.0.1:{port}"},
            {"id": "gone", "url": f"http://127.0.0.1:{free_port()}"},
        ],
    )
    try:
        found = await network.peers(site, PROFILE)
        alone = await network.peers(settings(tmp_path), PROFILE)
    finally:
        await runner.cleanup()
    assert [finding.verdict for finding in (*found, *alone)] == ["ok", "warning", "warning"]
    assert "serves m" in found[0].fact


@pytest.mark.parametrize(
    ("content", "verdicts"),
    [
        ("MODEL=bundled:inarvl-edge-swift", ["ok"]),
        ("MODEL='bundled:no-such'", ["failed"]),
        ("MODEL=/no/such/folder", ["failed"]),
        ("OPTIONS=--threads 2", []),
    ],
)
def test_the_model_that_the_unit_is_to_serve_is_looked_for(
    content: str, verdicts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "vlm.env"
    environment.write_text(f"{content}\n")
    monkeypatch.setattr(network, "ENVIRONMENT", environment)
    assert [finding.verdict for finding in network._model_files()] == verdicts


def test_secrets_that_everybody_can_read_are_warned_of(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s")
    site = settings(tmp_path, broker={"password_file": str(secret)})
    for mode, verdict in ((0o644, "warning"), (0o640, "ok")):
        secret.chmod(mode)
        assert machine.permissions(site, PROFILE)[-1].verdict == verdict
    secret.unlink()
    assert machine.permissions(site, PROFILE)[-1].verdict == "failed"


def test_a_state_dir_that_cannot_be_made_fails_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (made,) = machine.permissions(settings(tmp_path, state_dir=tmp_path / "new" / "er"), PROFILE)
    assert made.verdict == "ok"
    assert not (tmp_path / "new").exists()


def test_too_little_memory_is_warned_of(tmp_path: Path) -> None:
    limits = PROFILE.limits.model_copy(update={"memory_mb": 1e9})
    for profile, verdict in ((PROFILE, "ok"), (PROFILE.model_copy(update={"limits": limits}), "warning")):
        (finding,) = machine.memory(settings(tmp_path), profile)
        assert finding.verdict == verdict


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LEAST_DISK_MB", 1e12)
    (finding,) = machine.disk(settings(tmp_path), PROFILE)
    assert finding.verdict == "failed"


def test_a_clock_before_our_time_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.time, "time", lambda: 3600.0)
    (finding,) = machine.clock(settings(tmp_path), PROFILE)
    assert finding.verdict == "failed"


def test_a_unit_at_its_memory_limit_or_restarted_is_warned_of() -> None:
    def verdict(used: int, restarts: str) -> str:
        told = {"MemoryMax": "1000", "MemoryCurrent": str(used), "NRestarts": restarts}
        return machine._limits("u", told).verdict

    assert [verdict(500, "0"), verdict(950, "0"), verdict(500, "3")] == ["ok", "warning", "warning"]


def test_the_worst_counts() -> None:
    assert worst([ok("a"), warning("b", "c"), failed("d", "e")]) == "failed"
    assert worst([ok("a"), warning("b", "c")]) == "warning"
    assert worst([ok("a")]) == "ok"


def test_the_exit_status_tells(broker: Any, tmp_path: Path) -> None:
    site = tmp_path / "agent.yaml"
    well = f"device: d\nlocal: null\nstate_dir: {tmp_path}\ndiscovery: {{zeroconf: false}}\n"
    site.write_text(f"{well}broker: {{url: 'mqtt://127.0.0.1:{broker.port}'}}\n")
    run = CliRunner().invoke(inarvl, ["doctor", "--config", str(site)])
    assert run.exit_code == 0, run.output
    broker.kill()
    run = CliRunner().invoke(inarvl, ["doctor", "--config", str(site)])
    assert run.exit_code == 1
    assert "no broker answers" in run.output
    assert "-> " in run.output
