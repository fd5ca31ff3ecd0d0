"""No query is lost or answered twice when the agent is killed, its link fails, or an input attacks it.

INARVL_KILLS sets the number of kills; with the default it takes about half a minute.
"""

from __future__ import annotations

import os

import pytest

from agent.standalone.broker import find_mosquitto
from lab.rig.faults.attacks import image_bombs, poison_query, poison_reply
from lab.rig.faults.catalogue import Fault, Injection, agent_killed, outage
from lab.rig.faults.hostile import hostile_feedback, hostile_peer, hostile_record, refusing_peer
from lab.rig.faults.network_namespace import unsupported_reason
from lab.rig.faults.runner import run_fault

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(900)]
KILLS = int(os.environ.get("INARVL_KILLS", "3"))

needs_broker = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
needs_link = pytest.mark.skipif(unsupported_reason() is not None, reason=str(unsupported_reason()))


@needs_broker
@needs_link
@pytest.mark.parametrize(
    "fault",
    [
        Fault("kills", agent_killed(KILLS)),
        Fault("outage", outage(1.0)),
        Fault("bombs", image_bombs),
        Fault("query", poison_query, poisoned=True),
        Fault("reply", poison_reply),
    ],
    ids=lambda fault: fault.name,
)
async def test_every_acknowledged_query_is_answered_once(fault: Fault) -> None:
    result = await run_fault(fault, rate=4.0, seed=1)
    assert result.sent > 0
    assert (result.lost, result.duplicated) == (0, 0), result


@needs_broker
@needs_link
@pytest.mark.parametrize(
    "inject",
    [hostile_feedback, hostile_record, hostile_peer, refusing_peer],
    ids=lambda inject: inject.__name__,
)
async def test_hostile_remotes_harm_no_query(inject: Injection) -> None:
    result = await run_fault(Fault(inject.__name__, inject), rate=4.0, seed=1)
    assert result.answered == result.sent > 0
    assert (result.lost, result.duplicated) == (0, 0), result
