"""Nothing is lost or answered twice when the agent is killed, or its link goes: a short part of the harness.

INARVL_KILLS and INARVL_SOAK_S ask for more; without them this takes about half a minute.
"""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.faults.catalogue import Fault, agent_killed, outage
from bench.faults.harness import try_fault
from bench.faults.network import why_not
from bench.load import run
from bench.load.caller import Shape
from bench.load.site import Site

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]
KILLS = int(os.environ.get("INARVL_KILLS", "3"))
SOAK_S = float(os.environ.get("INARVL_SOAK_S", "10"))
HAS_BROKER = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None

needs_broker = pytest.mark.skipif(not HAS_BROKER, reason="mosquitto is not installed")
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


@needs_broker
async def test_the_agent_holds_no_more_with_time(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.start_all()
        shape = Shape(8.0, (10_000.0,))
        file = tmp_path / "soak.csv"
        rng = np.random.default_rng(0)
        await run.soak(site, shape, SOAK_S / 2, tmp_path / "warm.csv", every_s=1.0, rng=rng)
        tally = await run.soak(site, shape, SOAK_S, file, every_s=1.0, rng=rng)
    finally:
        site.stop_all()
    assert tally.sent > 0
    assert (tally.lost, tally.other_replies) == (0, 0)
    with file.open(newline="") as source:
        rows = list(csv.DictReader(source))
    third = max(1, len(rows) // 3)
    for held, slack in (("fds", 8), ("threads", 8), ("rss_mb", 12)):
        early, late = ([float(row[held]) for row in part] for part in (rows[:third], rows[-third:]))
        assert min(late) <= max(early) + slack, f"{held} grew: {early} to {late}"
