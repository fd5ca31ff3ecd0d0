"""Starts the whole product once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.standalone.broker import free_port
from product import KEYS, Product, running_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Broker, both model servers and the agent, all ready; the agent serves HTTP to the clients of KEYS."""
    folder = tmp_path_factory.mktemp("e2e")
    (folder / "tokens").write_text("".join(f"{client}:{key}\n" for client, key in KEYS.items()))
    http = {"listen": f"127.0.0.1:{free_port()}", "token_file": str(folder / "tokens")}
    with running_product(folder, http=http, cameras={"bedroom": {"local_only": True}}) as running:
        yield running
