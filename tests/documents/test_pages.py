"""The pages of docs/ that are made from the code are up to date, and have a meaning for every key."""

from __future__ import annotations

import doctest

import pytest

from agent.config.settings import Settings
from agent.profile.schema import schema
from lab.documents import site_file, units
from lab.documents.pages import ROOT, pages
from lab.documents.schema_rows import rows

REMEDY = "run `.venv/bin/python -m lab.documents`"


@pytest.mark.parametrize("path", sorted(pages()))
def test_a_page_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == pages()[path], REMEDY


def test_every_key_of_the_site_file_has_a_row_with_its_meaning() -> None:
    found = {row.key: row.meaning for row in rows(site_file.described_schema())}
    assert set(Settings.model_fields) <= set(found)
    assert {"broker.url", "peers[].url", "cameras.NAME.mask", "clients.NAME.burst"} <= set(found)
    missing = [key for key, meaning in found.items() if not meaning]
    assert missing == [], "add each to `Attributes:` in the docstring of its section in agent/config"


def test_every_field_of_a_profile_has_a_row_with_its_meaning() -> None:
    found = {row.key: row.meaning for row in rows(schema())}
    assert {"power.idle_w", "models.local[].latency_ms", "priors.cloud.quality"} <= set(found)
    assert [key for key, meaning in found.items() if not meaning] == []


def test_a_row_has_the_default_that_the_code_uses() -> None:
    defaults = {row.key: row.default for row in rows(site_file.described_schema())}
    assert defaults["broker.url"] == f"`{Settings().broker.url}`"
    assert defaults["intake.max_images"] == f"`{Settings().intake.max_images}`"
    assert defaults["discovery.trust"] == f"`{Settings().discovery.trust.mode}`"
    assert defaults["peers[].url"] is None
    assert {row.key: row.default for row in rows(schema())}["priors.local.latency_ms"] == "`400.0`"


@pytest.mark.parametrize("module", [site_file, units])
def test_the_examples_in_docstrings_are_right(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted > 0
    assert results.failed == 0
