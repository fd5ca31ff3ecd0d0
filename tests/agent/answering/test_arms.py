"""What a call of an arm would meet."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from agent.answering.arms import Arms
from agent.peers.registry import PeerRegistry
from cloud.peer import PeerRecord
from vlm.completion import ModelCard

pytestmark = pytest.mark.anyio


class Question:
    """A question about one image."""

    query = SimpleNamespace(sources=("image",))

    async def images(self, _resolution: int) -> tuple[bytes, ...]:
        return (b"jpeg",)


async def test_requests_of_other_clients_wait_before_a_call() -> None:
    registries = {tier: PeerRegistry(rng=np.random.default_rng(0)) for tier in ("local", "cloud")}
    registries["local"].offer(PeerRecord("board", "unix:/run/vlm.sock"), source="site")
    peer = registries["local"].known()[0]
    peer.cards, peer.healthy, peer.other_requests = (ModelCard("m"),), True, 2
    servers: Any = SimpleNamespace(registry=registries.get)
    arms = Arms(servers, cast(Any, None), resolutions=lambda _tier, _card: (448,))
    assert [option.queue for option in await arms.options(cast(Any, Question()))] == [2]
    peer.other_requests = 0
    assert [option.queue for option in await arms.options(cast(Any, Question()))] == [0]
