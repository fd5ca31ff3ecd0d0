"""The servers and prompts of the site file are applied, also again while the agent runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.config.settings import Settings
from agent.peers.directory import ServerDirectory
from agent.profile.loading import load_profile

pytestmark = pytest.mark.anyio
PEER = {"id": "p", "url": "http://p:1", "allow_plaintext": True}


def settings(**fields: Any) -> Settings:
    return Settings.model_validate({"device": "d", "local": "unix:/run/v.sock", **fields})


def directory(applied: Settings) -> tuple[ServerDirectory, list[tuple[str, str]]]:
    changes: list[tuple[str, str]] = []
    servers = ServerDirectory(
        applied,
        load_profile("generic-x86"),
        rng=np.random.default_rng(0),
        changed=lambda server, state: changes.append((server, state)),
    )
    servers.apply(applied)
    return servers, changes


async def test_a_peer_has_its_own_prompt_and_all_other_servers_have_that_of_the_site() -> None:
    servers, _ = directory(settings(prompt="site", peers=[{**PEER, "prompt": "peer"}]))
    assert servers.prompt("cloud", "p") == "peer"
    assert servers.prompt("cloud", "found by zeroconf") == "site"
    assert servers.prompt("local", "board") == servers.prompt("local", "p") == "site"


async def test_a_changed_prompt_is_applied_and_the_peer_is_kept() -> None:
    servers, changes = directory(settings(peers=[{**PEER, "prompt": "one"}]))
    before = servers.registry("cloud").get("p")
    servers.apply(settings(peers=[{**PEER, "prompt": "two"}]))
    assert servers.prompt("cloud", "p") == "two"
    assert servers.registry("cloud").get("p") is before
    servers.apply(settings(peers=[PEER]))
    assert servers.prompt("cloud", "p") is None
    assert changes == [("board", "found"), ("p", "found")]


async def test_other_models_replace_the_peer() -> None:
    servers, changes = directory(settings(peers=[{**PEER, "models": ["m"]}]))
    servers.apply(settings(peers=[{**PEER, "models": ["n"]}]))
    assert changes[1:] == [("p", "found"), ("p", "gone"), ("p", "found")]


async def test_a_new_key_replaces_the_peer_and_reading_the_file_again_ends_a_rest(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    site = settings(peers=[{**PEER, "api_key_file": str(key)}, {**PEER, "id": "q", "url": "http://q:1"}])
    servers, changes = directory(site)
    cloud = servers.registry("cloud")
    for name in ("p", "q"):
        cloud.denied(name, "m", "no permission for this model")
        cloud.began(name)
        cloud.ended(name, "refused", "invalid key")
    before = cloud.get("q")
    assert before is not None
    assert before.breaker.refusals == 1
    key.write_text("new")
    servers.apply(site)
    replaced, kept = cloud.get("p"), cloud.get("q")
    assert replaced is not None
    assert replaced.client._connection._headers == {"Authorization": "Bearer new"}
    assert (replaced.breaker.refusals, replaced.denied_models) == (0, {})
    assert kept is before
    assert (kept.breaker.refusals, kept.denied_models, kept.wake.is_set()) == (0, {}, True)
    assert ("p", "refused") in changes
