"""The stream of events: what it has, and how it is bounded."""

from __future__ import annotations

import json
import math
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from aiohttp import ClientSession, UnixConnector

from agent.page.state import MAX_ANSWERS, MAX_EVENTS
from agent.page.stream import MAX_READERS
from page_rig import PageRig, entry, prediction, record

pytestmark = pytest.mark.anyio
WAIT_S = 30


async def test_the_first_message_has_everything_and_the_next_one_the_change(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    first, second = entry("first?"), entry("second?")
    rig.page.state.add_answer(first, record())
    rig.page.event({"event": "mode", "mode": "local"})
    async with rig.serving(), rig.events() as reader:
        content = await reader.next()
        assert [answer["question"] for answer in content["answers"]] == ["first?"]
        assert (content["mode"], content["totals"]["board"], content["shares"]) == ("local", 1, [[60, 0, 1]])
        rig.page.state.add_answer(second, record())
        content = await reader.next()
        assert [answer["question"] for answer in content["answers"]] == ["second?"]
        assert (content["events"], "mode" in content) == ([], False)


async def test_a_decision_id_is_not_in_any_message(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    added = entry()
    rig.page.state.add_answer(added, record())
    async with rig.serving(), rig.events() as reader:
        assert added.decision_id not in json.dumps(await reader.next())


async def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    for number in range(200):
        rig.page.state.add_answer(entry("?" * 8000, text="!" * 8000, now=60.0 * number), record())
        rig.page.event({"event": "server", "message": "!" * 8000})
    content = rig.page.state.since(0)
    assert (len(content["answers"]), len(content["events"])) == (MAX_ANSWERS, MAX_EVENTS)
    assert len(content["shares"]) == 60
    assert len(json.dumps(content)) < 100_000


async def test_numbers_that_json_does_not_have_are_null(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    predictions = {"cloud/big@128#gpu-1": prediction(math.inf, math.nan, math.inf)}
    rig.page.state.add_answer(entry(predictions=predictions), record())
    answer = json.loads(json.dumps(rig.page.state.since(0), allow_nan=False))["answers"][0]
    arm = answer["alternatives"][0]
    assert (arm["latency_ms"], arm["energy_j"], arm["score"]) == (None, None, None)


async def test_only_so_many_read_at_the_same_time(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving():
        async with anyio.create_task_group() as tasks:

            async def read(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                async with rig.events() as reader:
                    await reader.next()
                    task_status.started()
                    await anyio.sleep_forever()

            for _ in range(MAX_READERS):
                await tasks.start(read)
            async with rig.client() as session, session.get("/events") as response:
                assert response.status == 429
            tasks.cancel_scope.cancel()
        await rig.no_readers()
        async with rig.events() as reader:
            assert (await reader.next())["device"] == "gate-3"


async def test_a_reader_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving():
        stream = await anyio.connect_unix(str(tmp_path / "http.sock"))
        async with stream:
            await stream.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await stream.receive(16)
            with anyio.fail_after(WAIT_S):
                while rig.page.readers:
                    rig.page.state.add_answer(entry("?" * 300, text="!" * 500), record())
                    await anyio.lowlevel.checkpoint()
        async with rig.events() as reader:
            await reader.next()


async def test_a_stop_ends_the_streams(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving(), rig.events() as reader:
        await reader.next()
        rig.stream.stop()
        with anyio.fail_after(WAIT_S), pytest.raises(EOFError):
            await reader.next()


async def test_a_reader_that_leaves_gives_its_place_back(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving():
        async with ClientSession(
            "http://localhost", connector=UnixConnector(str(tmp_path / "http.sock"))
        ) as session:
            response = await session.get("/events")
            assert rig.page.readers == 1
            response.close()
        await rig.no_readers()
