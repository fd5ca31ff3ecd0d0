"""Nothing is lost or answered twice when the agent is killed, or its link goes: a short part of the harness.

INARVL_KILLS asks for more; without it this takes about half a minute.
"""

from __future__ import annotations

import os

import pytest

from lab.rig.deployment import mosquitto
from lab.rig.faults.catalogue import Fault, agent_killed, outage
from lab.rig.faults.network_namespace import why_not
from lab.rig.faults.runner import try_fault

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]
KILLS = int(os.environ.get("INARVL_KILLS", "3"))

needs_broker = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
needs_link = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@needs_broker
@needs_link
@pytest.mark.parametrize(
    "fault", [Fault("kills", agent_killed(KILLS)), Fault("outage", outage(1.0))], ids=lambda fault: fault.name
)
async def test_every_question_that_the_broker_took_is_answered_once(fault: Fault) -> None:
    account = await try_fault(fault, rate=4.0, seed=1)
    assert account.sent > 0
    assert (account.lost, account.duplicated) == (0, 0), account
