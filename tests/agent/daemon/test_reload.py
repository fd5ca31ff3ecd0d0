"""A changed site file is taken over while the agent runs, and one that is no good is not."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.settings import Settings
from agent.config.yaml_file import ConfigError
from agent.daemon.reload import reloaded


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"device": "d", "state_dir": "/tmp", **changes})


def test_what_can_change_is_taken_over() -> None:
    fresh = settings(peers=[{"id": "p", "url": "http://p:1"}], local=None, intake={"max_tokens": 7})
    after, told = reloaded(settings(), lambda: fresh)
    assert after == fresh
    assert told == "took over local, peers, intake.max_tokens"


def test_what_cannot_change_stays_and_is_named() -> None:
    fresh = settings(device="e", intake={"workers": 3, "max_payload_bytes": 2048}, image_roots=["/var/cam"])
    after, told = reloaded(settings(), lambda: fresh)
    assert (after.device, after.intake.workers) == ("d", settings().intake.workers)
    assert (after.intake.max_payload_bytes, after.image_roots) == (2048, fresh.image_roots)
    assert told == "took over image_roots, intake.max_payload_bytes; restart for device, intake.workers"


def test_a_file_that_is_no_good_changes_nothing() -> None:
    before = settings()

    def broken() -> Settings:
        raise ConfigError("agent.yaml: peers: two are called 'p'")

    after, told = reloaded(before, broken)
    assert after is before
    assert "two are called" in told


@pytest.mark.parametrize("same", [settings()])
def test_nothing_new_is_said_so(same: Settings) -> None:
    assert reloaded(settings(), lambda: same) == (same, "nothing that can change now has changed")
