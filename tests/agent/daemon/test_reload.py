"""A changed site file is applied while the agent runs; an invalid one changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.settings import Settings
from agent.config.yaml_file import ConfigError
from agent.daemon.reload import reload


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"device": "d", "state_dir": "/tmp", **changes})


def test_settings_that_can_change_are_applied() -> None:
    peers = [{"id": "p", "url": "https://p:1", "prompt": "Be brief."}]
    new = settings(peers=peers, local=None, prompt="Be kind.", intake={"max_tokens": 7})
    after, summary = reload(settings(), lambda: new)
    assert after == new
    assert summary == "applied local, peers, prompt, intake.max_tokens"


def test_the_judge_can_be_switched_off() -> None:
    new = settings(judge={"enabled": False})
    assert reload(settings(), lambda: new) == (new, "applied judge")


def test_home_assistant_can_be_enabled() -> None:
    new = settings(home_assistant={"enabled": True})
    assert reload(settings(), lambda: new) == (new, "applied home_assistant")


def test_who_is_trusted_can_change_and_how_peers_are_discovered_cannot() -> None:
    new = settings(discovery={"trust": "any", "mqtt": False})
    after, summary = reload(settings(), lambda: new)
    assert (after.discovery.trust.mode, after.discovery.mqtt) == ("any", True)
    assert summary == "applied discovery.trust; restart for discovery.mqtt"


def test_another_http_address_needs_a_restart() -> None:
    after, summary = reload(settings(), lambda: settings(http="127.0.0.1:8030"))
    assert after.http is None
    assert summary.endswith("; restart for http")


def test_settings_that_cannot_change_stay_and_are_named() -> None:
    new = settings(device="e", intake={"workers": 3, "max_payload_bytes": 2048}, image_roots=["/var/cam"])
    after, summary = reload(settings(), lambda: new)
    assert (after.device, after.intake.workers) == ("d", settings().intake.workers)
    assert (after.intake.max_payload_bytes, after.image_roots) == (2048, new.image_roots)
    assert summary == "applied image_roots, intake.max_payload_bytes; restart for device, intake.workers"


def test_an_invalid_file_changes_nothing() -> None:
    before = settings()

    def read_invalid() -> Settings:
        raise ConfigError("agent.yaml: peers: two peers have the id 'p'")

    after, summary = reload(before, read_invalid)
    assert after is before
    assert "two peers have the id" in summary


@pytest.mark.parametrize("same", [settings()])
def test_a_file_without_changes_is_reported(same: Settings) -> None:
    assert reload(settings(), lambda: same) == (same, "no setting changed that applies without a restart")
