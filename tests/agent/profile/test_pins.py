"""A model whose files are not those that the profile pins is not used."""

from __future__ import annotations

import logging

import pytest

from agent.profile.loading import load_profile
from agent.profile.pins import ModelPins
from agent.profile.sections import ModelPrior, Models
from vlm.completion import ModelCard

PIN, OTHER = "1" * 64, "2" * 64
PROFILE = load_profile("generic-x86").model_copy(
    update={"models": Models(local=(ModelPrior(name="reader", resolutions=(64,), sha256=PIN),))}
)


def test_a_model_with_the_pinned_files_is_used() -> None:
    assert ModelPins(PROFILE).resolutions_of("local", ModelCard("reader", sha256=PIN)) == (64,)


@pytest.mark.parametrize(
    ("reported", "problem"), [(OTHER, f"it has the SHA-256 {OTHER}"), (None, "does not report its SHA-256")]
)
def test_a_model_with_other_files_is_not_used_and_this_is_logged_once(
    reported: str | None, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    pins, card = ModelPins(PROFILE), ModelCard("reader", resolutions=(64,), sha256=reported)
    with caplog.at_level(logging.ERROR):
        assert pins.resolutions_of("local", card) == ()
        assert pins.resolutions_of("local", card) == ()
    (record,) = caplog.records
    assert problem in record.message
    assert "pin their digest" in record.message


def test_models_without_a_pin_are_used_as_before() -> None:
    pins = ModelPins(PROFILE)
    assert pins.resolutions_of("local", ModelCard("other", (96,), sha256=OTHER)) == (96,)
    assert pins.resolutions_of("cloud", ModelCard("reader", (96,), sha256=OTHER)) == (96,)


def test_a_server_reports_the_digest_and_a_client_reads_it() -> None:
    card = ModelCard("reader", sha256=PIN)
    assert ModelCard.from_json(card.to_json()).sha256 == PIN
    assert ModelCard.from_json({"id": "m", "inarvl": {"sha256": 7}}).sha256 is None
