"""One client that floods at the highest priority takes nothing from a polite one."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import numpy as np
import pytest

from lab.rig.deployment import TOPICS, Deployment, MockTimes
from lab.rig.load.generator import LoadGenerator, SentQuery, Workload

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FLOOD = Workload(rate=25, deadlines_ms=(20_000,), priorities=(9,))  # several times what the models can answer
POLITE = Workload(rate=1, deadlines_ms=(15_000,))
POLITE_S, HEAD_START_S, SILENCE_S = 20.0, 3.0, 30.0


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    times = MockTimes(edge_ms=300, cloud_ms=400, cloud_slots=1)
    running = Deployment(tmp_path_factory.mktemp("flood"), mock_times=times)
    running.start_all()
    yield running
    running.stop_all()


@pytest.mark.parametrize("own_topic", [True, False], ids=["own topics", "open topic"])
async def test_a_polite_client_gets_its_answers_beside_one_that_floods(
    deployment: Deployment, own_topic: bool
) -> None:
    layout = deployment.layout
    flooder, polite = (
        LoadGenerator(
            layout.address, layout.broker_port, TOPICS, rng=np.random.default_rng(n), own_topic=own_topic
        )
        for n in range(2)
    )
    flood: list[SentQuery] = []

    async def send_flood() -> None:
        async for query in flooder.send(FLOOD):
            flood.append(query)

    async with flooder.connected(), polite.connected(), anyio.create_task_group() as tasks:
        tasks.start_soon(send_flood)
        await anyio.sleep(HEAD_START_S)
        asked = [query async for query in polite.send(POLITE, seconds=POLITE_S)]
        await polite.wait_for_replies(asked, silence_s=SILENCE_S)
        tasks.cancel_scope.cancel()
    in_time = [
        query for query in asked if query.outcome == "answer" and (query.latency_ms or 0) <= query.deadline_ms
    ]
    assert len(in_time) >= 0.9 * len(asked), [query.outcome for query in asked]
    assert any(query.outcome == "busy" for query in flood), "the agent was never overloaded"
