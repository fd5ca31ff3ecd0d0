"""Starts the whole product once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from product import Product, running_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Broker, both model servers and the agent, all ready."""
    with running_product(tmp_path_factory.mktemp("e2e")) as running:
        yield running
