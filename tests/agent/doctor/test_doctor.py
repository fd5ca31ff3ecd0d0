"""The doctor finds faults and says what to do; its exit status is 1 if a check fails."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.config.settings import Settings
from agent.doctor import dead_letters, http_door, local_server, machine, network, permissions, trust, units
from agent.doctor.doctor import worst_verdict
from agent.doctor.finding import failed, ok, warning
from agent.peers import mdns
from agent.profile.loading import load_profile
from agent.spool.dead_letters import FOLDER, DeadLetters
from agent.standalone.broker import DYNAMIC_SECURITY, Mosquitto, denying, free_port
from cloud.peer import PeerRecord

PROFILE = load_profile("generic-x86")


def enabled(unit: str) -> Callable[[str], dict[str, str]]:
    """Unit properties on a board where only `unit` is installed, and has failed."""
    installed = {"LoadState": "loaded", "ActiveState": "failed", "UnitFileState": "enabled"}
    missing = {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""}
    return lambda asked: installed if asked == unit else missing


def settings(tmp_path: Path, **changed: object) -> Settings:
    fields = {"device": "d", "state_dir": tmp_path, "local": None, "discovery": {"zeroconf": False}}
    return Settings.model_validate(fields | changed)


@pytest.mark.anyio
async def test_a_broker_that_delivers_messages_is_ok(broker: Any, tmp_path: Path) -> None:
    site = settings(tmp_path, broker={"url": f"mqtt://127.0.0.1:{broker.port}"})
    assert [finding.verdict for finding in await network.broker(site, PROFILE)] == ["ok"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "body", "verdict", "fact"),
    [
        (200, "{}", "ok", "the agent is ready"),
        (
            503,
            '{"error": {"message": "no model server is healthy"}}',
            "warning",
            "no model server is healthy",
        ),
        (503, "[]", "warning", "status 503"),
    ],
)
async def test_the_http_address_says_whether_the_agent_is_ready(
    tmp_path: Path, status: int, body: str, verdict: str, fact: str
) -> None:
    async def ready(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a-token-of-the-test"
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "http.sock")).start()
    (tmp_path / "tokens").write_text("camera-1:a-token-of-the-test\n")
    section = {"listen": f"unix:{tmp_path}/http.sock", "token_file": str(tmp_path / "tokens")}
    (finding,) = await http_door.http(settings(tmp_path, http=section), PROFILE)
    await runner.cleanup()
    assert finding.verdict == verdict
    assert fact in finding.fact


@pytest.mark.anyio
async def test_an_http_address_without_an_agent_fails(tmp_path: Path) -> None:
    assert await http_door.http(settings(tmp_path), PROFILE) == []
    site = settings(tmp_path, http=f"127.0.0.1:{free_port()}")
    (finding,) = await http_door.http(site, PROFILE)
    assert (finding.verdict, "start the agent" in finding.remedy) == ("failed", True)
    section = {"listen": "0.0.0.0:80", "token_file": str(tmp_path / "none")}
    (finding,) = await http_door.http(settings(tmp_path, http=section), PROFILE)
    assert (finding.verdict, "http.token_file" in finding.remedy) == ("failed", True)


@pytest.mark.anyio
async def test_no_broker_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "BROKER_TIMEOUT_S", 0.5)
    site = settings(tmp_path, broker={"url": f"mqtt://127.0.0.1:{free_port()}"})
    (finding,) = await network.broker(site, PROFILE)
    assert finding.verdict == "failed"
    assert "broker.url" in finding.remedy


@pytest.mark.anyio
async def test_topics_that_the_agent_cannot_read_fail_whether_the_broker_says_so_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mosquitto with an access list grants every subscription, and does not deliver the messages."""
    monkeypatch.setattr(network, "BROKER_TIMEOUT_S", 2.0)
    access = tmp_path / "access"
    access.write_text("topic readwrite inarvl/d/result/#\ntopic write inarvl/d/query\n")
    silent = f"acl_file {access}\n"
    refusing = denying(tmp_path, readable=["inarvl/d/result/#"]) if DYNAMIC_SECURITY else None
    for extra, expected in ((silent, "does not deliver messages on it"), (refusing, "refuses subscriptions")):
        if extra is None:
            continue
        broker = Mosquitto(tmp_path / "broker", free_port(), extra=extra)
        broker.start()
        try:
            site = settings(tmp_path, broker={"url": f"mqtt://127.0.0.1:{broker.port}"})
            (finding,) = await network.broker(site, PROFILE)
        finally:
            broker.kill()
        assert finding.verdict == "failed"
        assert expected in finding.fact
        assert "inarvl/d/query" in finding.fact


@pytest.mark.anyio
async def test_a_missing_model_server_fails_and_none_configured_is_ok(tmp_path: Path) -> None:
    (missing,) = await network.model(settings(tmp_path, local=f"unix:{tmp_path}/none"), PROFILE)
    (unconfigured,) = await network.model(settings(tmp_path), PROFILE)
    assert (missing.verdict, unconfigured.verdict) == ("failed", "ok")


@pytest.mark.anyio
async def test_each_peer_is_checked(tmp_path: Path) -> None:
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
            {"id": "ready", "url": f"http://127.0.0.1:{port}"},
            {"id": "gone", "url": f"http://127.0.0.1:{free_port()}"},
        ],
    )
    try:
        found = await network.peers(site, PROFILE)
        without_peers = await network.peers(settings(tmp_path), PROFILE)
    finally:
        await runner.cleanup()
    assert [finding.verdict for finding in (*found, *without_peers)] == ["ok", "warning", "warning"]
    assert "serves m" in found[0].fact


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("served", "verdicts"),
    [
        (["inarvl-edge-swift", "inarvl-edge-reader"], ["ok", "warning"]),
        (["inarvl-edge-swift", "smolvlm"], ["ok"]),
        (["smolvlm"], ["ok"]),
    ],
)
async def test_a_server_with_bundled_models_only_is_a_warning(
    served: list[str], verdicts: list[str], tmp_path: Path
) -> None:
    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name} for name in served]})

    app, port = web.Application(), free_port()
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    url = f"http://127.0.0.1:{port}"
    site = settings(tmp_path, local=url, peers=[{"id": "cloud", "url": url}])
    try:
        local, cloud = await network.model(site, PROFILE), await network.peers(site, PROFILE)
    finally:
        await runner.cleanup()
    for findings in (local, cloud):
        assert [finding.verdict for finding in findings] == verdicts
    if "warning" in verdicts:
        assert "drawn scenes" in local[-1].fact
        assert "inarvl-vlm pull" in cloud[-1].remedy


@pytest.mark.parametrize(
    ("content", "verdicts"),
    [
        ("MODEL=bundled:inarvl-edge-swift", ["ok"]),
        ("MODEL='bundled:no-such'", ["failed"]),
        ("MODEL=/no/such/folder", ["failed"]),
        ("OPTIONS=--threads 2", []),
    ],
)
def test_the_model_in_the_units_environment_file_must_exist(
    content: str, verdicts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "vlm.env"
    environment.write_text(f"{content}\n")
    monkeypatch.setitem(local_server.SETTINGS, "inarvl-vlm", environment)
    assert [finding.verdict for finding in local_server.model_files("inarvl-vlm")] == verdicts


@pytest.mark.parametrize(
    ("content", "verdicts"),
    [
        ("MODEL={file}\nMMPROJ={file}", ["ok", "ok"]),
        ("MODEL=/no/such.gguf\nMMPROJ={file}", ["failed", "ok"]),
        ("MODEL={file}", ["ok", "failed"]),
    ],
)
def test_the_files_that_the_unit_of_llama_cpp_is_to_serve_must_exist(
    content: str, verdicts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "llamacpp.env"
    environment.write_text(content.format(file=environment))
    monkeypatch.setitem(local_server.SETTINGS, "inarvl-llamacpp", environment)
    assert [finding.verdict for finding in local_server.model_files("inarvl-llamacpp")] == verdicts


def test_a_systemd_that_does_not_answer_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(command: list[str], **_options: object) -> None:
        raise subprocess.TimeoutExpired(command, 10)

    monkeypatch.setattr(local_server.subprocess, "run", hangs)
    assert local_server.properties("inarvl-agent") == {}


@pytest.mark.parametrize("unit", ["inarvl-vlm", "inarvl-llamacpp"])
def test_only_the_unit_that_serves_the_model_is_checked(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (local_server, units):
        monkeypatch.setattr(module, "properties", enabled(unit))
    monkeypatch.setattr(units.Path, "exists", lambda _path: True)
    agent, model = units.units(settings(tmp_path), PROFILE)
    assert "inarvl-agent is not installed" in agent.fact
    assert model.fact == f"{unit} is failed"
    assert f"journalctl -u {unit}" in model.remedy


def test_secrets_that_every_user_can_read_are_a_warning(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("long enough")
    site = settings(tmp_path, broker={"password_file": str(secret)})
    for mode, verdict in ((0o644, "warning"), (0o640, "ok")):
        secret.chmod(mode)
        assert permissions.permissions(site, PROFILE)[-1].verdict == verdict
    secret.write_text("short")
    assert permissions.permissions(site, PROFILE)[-1].verdict == "warning"
    secret.unlink()
    assert permissions.permissions(site, PROFILE)[-1].verdict == "failed"


def test_a_credential_that_the_unit_does_not_have_is_a_failure_with_the_line_that_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = settings(tmp_path, broker={"password_file": "credential:mqtt.password"})
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "LoadCredential=mqtt.password:" in permissions.permissions(site, PROFILE)[-1].remedy
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "no such credential" in permissions.permissions(site, PROFILE)[-1].fact
    (tmp_path / "mqtt.password").write_text("long enough")
    assert permissions.permissions(site, PROFILE)[-1].verdict == "ok"


def test_the_check_of_the_state_dir_does_not_create_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (finding,) = permissions.permissions(settings(tmp_path, state_dir=tmp_path / "new" / "er"), PROFILE)
    assert finding.verdict == "ok"
    assert not (tmp_path / "new").exists()


def test_too_little_memory_is_a_warning(tmp_path: Path) -> None:
    limits = PROFILE.limits.model_copy(update={"memory_mb": 1e9})
    for profile, verdict in ((PROFILE, "ok"), (PROFILE.model_copy(update={"limits": limits}), "warning")):
        (finding,) = machine.memory(settings(tmp_path), profile)
        assert finding.verdict == verdict


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MIN_DISK_MB", 1e12)
    (finding,) = machine.disk(settings(tmp_path), PROFILE)
    assert finding.verdict == "failed"


def test_a_clock_that_is_not_set_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.time, "time", lambda: 3600.0)
    (finding,) = machine.clock(settings(tmp_path), PROFILE)
    assert finding.verdict == "failed"


def test_a_unit_that_restarted_or_is_near_its_memory_limit_is_a_warning() -> None:
    def verdict(used: int, restarts: str) -> str:
        properties = {"MemoryMax": "1000", "MemoryCurrent": str(used), "NRestarts": restarts}
        return units._active("u", properties).verdict

    assert [verdict(500, "0"), verdict(950, "0"), verdict(500, "3")] == ["ok", "warning", "warning"]


def test_the_worst_verdict_of_all_findings() -> None:
    assert worst_verdict([ok("a"), warning("b", "c"), failed("d", "e")]) == "failed"
    assert worst_verdict([ok("a"), warning("b", "c")]) == "warning"
    assert worst_verdict([ok("a")]) == "ok"


def test_the_exit_status_is_1_if_a_check_fails(
    broker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "agent.yaml"
    without_broker = f"device: d\nlocal: null\nstate_dir: {tmp_path}\ndiscovery: {{zeroconf: false}}\n"
    site.write_text(f"{without_broker}broker: {{url: 'mqtt://127.0.0.1:{broker.port}'}}\n")
    run = CliRunner().invoke(inarvl, ["doctor", "--config", str(site)])
    assert run.exit_code == 0, run.output
    broker.kill()
    monkeypatch.setattr(network, "BROKER_TIMEOUT_S", 0.5)
    run = CliRunner().invoke(inarvl, ["doctor", "--config", str(site)])
    assert run.exit_code == 1
    assert "nothing listens at this address" in run.output
    assert "-> " in run.output


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"discovery": {"trust": "any"}}, "discovery.trust is any"),
        ({"peers": [{"id": "far", "url": "http://gpu:1", "allow_plaintext": True}]}, "far at http://gpu:1"),
        ({"local": "http://vlm:1", "local_allow_plaintext": True}, "the board's server at http://vlm:1"),
    ],
)
def test_trust_without_proof_and_connections_without_tls_are_warnings(
    changed: dict[str, object], named: str, tmp_path: Path
) -> None:
    (finding,) = trust.trust(settings(tmp_path, **changed), PROFILE)
    assert finding.verdict == "warning"
    assert named in finding.fact
    assert [one.verdict for one in trust.trust(settings(tmp_path), PROFILE)] == ["ok"]


@pytest.mark.anyio
async def test_a_discovered_peer_that_is_not_trusted_is_named_and_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen(_seconds: float, _policy: object) -> tuple[PeerRecord, ...]:
        return (PeerRecord("gpu", "http://10.0.0.1:1"), PeerRecord("rogue", "http://127.0.0.1:1"))

    monkeypatch.setattr(mdns, "listen", listen)
    (finding,) = await network.peers(settings(tmp_path, discovery={"zeroconf": True}), PROFILE)
    assert (finding.verdict, finding.fact) == ("warning", "not trusted, and sent nothing: gpu, rogue")
    assert "inarvl peer trust" in finding.remedy


@pytest.mark.anyio
async def test_what_was_set_aside_is_named(tmp_path: Path) -> None:
    site = settings(tmp_path)
    assert [finding.verdict for finding in dead_letters.dead_letters(site, PROFILE)] == ["ok"]
    await DeadLetters(tmp_path / FOLDER, lambda *_: None).set_aside("query_set_aside", "t\nq", "why", b"")
    (finding,) = dead_letters.dead_letters(site, PROFILE)
    assert finding.verdict == "warning"
    assert "t q" in finding.fact
    assert "why" in finding.fact
    assert str(tmp_path / FOLDER) in finding.remedy
