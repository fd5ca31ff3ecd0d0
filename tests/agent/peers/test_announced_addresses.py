"""No record makes the agent connect to this machine, to the broker, or to a name that resolves there."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import anyio
import pytest
from directory_rig import lan_address, running, settings

from agent.peers.address_rules import BROKER, AddressRules
from lab.rig.hostile.recorder import Recorder
from vlm.client import VlmClient
from vlm.errors import VlmUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Answers of DNS, one for each request of a name; the last one is repeated."""
    answers: dict[str, list[str]] = {}
    resolve = socket.getaddrinfo

    def answered(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        host = host.decode() if isinstance(host, bytes) else host
        if host in answers:
            left = answers[host]
            host = left.pop(0) if len(left) > 1 else left[0]
        return resolve(host, port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    return answers


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{}",
        "http://localhost:{}",
        "http://[::ffff:127.0.0.1]:{}",
        "http://0.0.0.0:{}",
        "http://0x7f000001:{}",
        "http://2130706433:{}",
        "http://x@127.0.0.1:{}",
        "http://127.0.0.1:{}/v1",
    ],
)
async def test_a_record_does_not_lead_to_this_machine(tmp_path: Path, url: str) -> None:
    """The agent trusts everybody with a pin at most; the server on loopback must not notice anything."""
    async with Recorder().running() as service:
        target = url.format(service.port)
        pins = [{"id": "p", "url": f"http://127.0.0.1:{service.port}", "fingerprint": None, "subject": ""}]
        (tmp_path / "trusted-peers.json").write_text(json.dumps({"version": 1, "pins": pins}))
        async with running(settings(tmp_path, {"allow_plaintext": True})) as found:
            found.retain("p", target)
            await anyio.sleep(0.2)
            assert not found.servers.registry("cloud").known()
            assert found.dropped == 1
    assert service.connections == 0


async def test_with_any_loopback_is_allowed_and_a_path_is_still_refused(tmp_path: Path) -> None:
    async with Recorder().running() as service, running(settings(tmp_path, "any")) as found:
        found.retain("q", f"http://127.0.0.1:{service.port}/admin")
        found.retain("m", "http://169.254.169.254:80")
        assert not found.servers.registry("cloud").known()
        found.retain("p", f"http://127.0.0.1:{service.port}")
        await found.healthy("p")


async def test_a_name_that_resolves_to_this_machine_is_not_connected_to(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    host = lan_address()
    async with Recorder().running() as inner, Recorder().running(host) as outer:
        names.update({"inner.example": ["127.0.0.1"], "outer.example": [host]})
        ports = {"inner": inner.port, "outer": outer.port}
        pins = [
            {"id": name, "url": f"http://{name}.example:{port}", "fingerprint": None, "subject": ""}
            for name, port in ports.items()
        ]
        (tmp_path / "trusted-peers.json").write_text(json.dumps({"version": 1, "pins": pins}))
        async with running(settings(tmp_path, {"allow_plaintext": True})) as found:
            for pin in pins:
                found.retain(str(pin["id"]), str(pin["url"]))
            await found.healthy("outer")
            await found.until(lambda: "loopback" in str(found.peer("inner").problem))
    assert inner.connections == 0


async def test_a_name_that_resolves_to_this_machine_later_is_not_connected_to(
    names: dict[str, list[str]],
) -> None:
    host = lan_address()
    async with Recorder().running(host) as outer, Recorder().running("127.0.0.1", outer.port) as inner:
        names["rebinding.example"] = [host, "127.0.0.1"]
        client = VlmClient(f"http://rebinding.example:{outer.port}", address_problem=AddressRules().problem)
        assert await client.ready()
        await client.aclose()
        with pytest.raises(VlmUnavailable, match="loopback"):
            await client.check_ready()
        await client.aclose()
    assert (outer.connections, inner.connections) == (1, 0)


async def test_the_brokers_address_is_refused_by_name_and_by_address(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    names["broker.example"] = ["192.0.2.77"]
    broker = {"url": "mqtt://broker.example:1883"}
    async with running(settings(tmp_path, "any", broker=broker)) as found:
        await found.until(lambda: found.servers._rules._broker_addresses)
        for url in ("http://broker.example:1883", "http://BROKER.example:1883", "http://192.0.2.77:1883"):
            found.retain("p", url)
            assert not found.servers.registry("cloud").known(), url
        assert found.dropped == 3
        found.retain("p", "http://192.0.2.77:8020")
        assert found.servers.registry("cloud").known(), "another port of that machine is no broker"


def test_an_address_is_the_brokers_with_its_port_only() -> None:
    rules = AddressRules(broker=("10.0.0.1", 1883))
    assert rules.problem("10.0.0.1", 1883) == BROKER
    assert rules.problem("10.0.0.1", 1884) is None
    assert rules.url_problem("http://10.0.0.1:1883") == BROKER
