"""Starts inarvl, so that its messages can be compared with what the documents say of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from product import Product, running_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A broker, a mock of the local model server and the agent, all ready."""
    with running_product(tmp_path_factory.mktemp("documents"), models=("mock",)) as running:
        yield running
