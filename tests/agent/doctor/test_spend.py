"""A cap on the spend does not apply to models without a price, and the doctor says which peers have such."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.settings import Settings
from agent.doctor.spend import spend
from agent.profile.loading import load_profile

FREE = {"per_call": 0}


@pytest.mark.parametrize(
    ("site", "peer", "verdict"),
    [
        ({}, {}, "ok"),
        ({"spend": {"per_day": 1}}, {}, "warning"),
        ({"cameras": {"gate": {"spend_per_day": 1}}}, {}, "warning"),
        ({"spend": {"per_day": 1}}, {"prices": {"*": FREE}}, "ok"),
        ({"spend": {"per_day": 1}}, {"prices": {"m": FREE}}, "warning"),
        ({"spend": {"per_day": 1}}, {"prices": {"m": FREE}, "models": ["m"]}, "ok"),
        ({"spend": {"per_day": 1}}, {"prices": {"m": FREE}, "models": ["m", "n"]}, "warning"),
    ],
)
def test_a_cap_needs_prices(site: dict[str, Any], peer: dict[str, Any], verdict: str) -> None:
    peers = [{"id": "rack", "url": "https://rack.example.net", **peer}]
    settings = Settings.model_validate({"device": "d", "peers": peers, **site})
    (finding,) = spend(settings, load_profile("generic-x86"))
    assert (finding.verdict, "rack" in finding.fact) == (verdict, verdict == "warning")
