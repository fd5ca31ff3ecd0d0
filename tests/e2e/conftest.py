"""Fixtures of the whole product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import anyio
import pytest
import yaml

from lab.rig.broker import broker, free_port
from product import START_S, Product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All of it, ready."""
    folder = tmp_path_factory.mktemp("e2e")
    with ExitStack() as stack:
        _, port = stack.enter_context(broker(folder))
        running = Product(folder, port, free_port())
        running.config.write_text(
            yaml.safe_dump(
                {
                    "device": "e2e",
                    "broker": {"url": f"mqtt://127.0.0.1:{port}"},
                    "local": f"unix:{folder}/vlm.sock",
                    "state_dir": str(folder),
                    "image_roots": [str(folder / "images")],
                    "profile": "generic-x86",
                    "intake": {"max_payload_bytes": 200_000},
                }
            )
        )
        stack.callback(lambda: [service.stop() for service in running.services.values()])
        for name in ("vlm", "cloud"):
            running.start(name)
        for service in running.services.values():
            service.wait_ready(START_S, lambda _status: None)
        running.start("agent").wait_ready(START_S, lambda _status: None)
        anyio.run(running.online)
        yield running
