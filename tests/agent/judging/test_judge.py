"""A cloud model judges only after it has shown that it can, within its budget.

The judges are scripted stand-ins behind real HTTP: what is tested is how they are used.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import numpy as np
import pytest
from aiohttp import web

from agent.config.settings import JudgeSettings
from agent.judging.judge import Judge
from agent.judging.trial import auroc, try_judge
from agent.judging.trial_pairs import TRIAL_PAIRS, TrialPair
from agent.peers.access import Access
from agent.peers.registry import CheckSchedule, PeerRegistry
from cloud.peer import PeerRecord
from controller import Arm

pytestmark = pytest.mark.anyio
ARM = Arm("cloud", "m", 448, "peer")
TRUTH = {(pair.question, *sorted((pair.one, pair.other))): pair.same for pair in TRIAL_PAIRS}
QUESTION = ("What is it?", "a cat", "a kitten")


class Metered:
    """Each call needs half a joule."""

    @asynccontextmanager
    async def over(self, tier: str) -> AsyncIterator[None]:
        assert tier == "cloud"
        yield

    def energy(self, *_: object) -> Any:
        return SimpleNamespace(joules=0.5, source="modelled")


def knows(_question: str, _one: str, _other: str, same: bool | None) -> float:
    return 0.3 if same is None else 0.9 if same else 0.2


def prefers_the_first(_question: str, one: str, other: str, same: bool | None) -> float:
    """Right on the trial pairs, and on others says yes if the shorter answer is the first."""
    return (0.9 if len(one) < len(other) else 0.5) if same is None else 0.9 if same else 0.2


def guesses(question: str, *_: object) -> float:
    return len(question) % 7 / 10


@dataclass
class JudgeServer:
    """A server whose model replies with a probability of yes; it has no images."""

    p_yes: Callable[..., float] = knows
    status: int = 200
    logprobs: bool = True
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def chat(self, request: web.Request) -> web.Response:
        self.requests.append(await request.json())
        if self.status != 200:
            error = {"error": {"message": "this model needs an image"}}
            return web.json_response(error, status=self.status)
        (message,) = self.requests[-1]["messages"]
        lines = message["content"].splitlines()
        question, one, other = (lines[place].partition(": ")[2] for place in (1, 2, 3))
        p = self.p_yes(question, one, other, TRUTH.get((question, *sorted((one, other)))))
        top = [
            {"token": token, "logprob": math.log(max(share, 1e-9))}
            for token, share in (("Yes", p), (" no", 1 - p))
        ]
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": "Yes" if p > 0.5 else "no"}}
        if self.logprobs:
            choice["logprobs"] = {
                "content": [{**max(top, key=lambda token: token["logprob"]), "top_logprobs": top}]
            }
        return web.json_response(
            {"choices": [choice], "usage": {"prompt_tokens": 99, "completion_tokens": 1}}
        )


@asynccontextmanager
async def judging(
    server: JudgeServer, folder: Path, clock: Callable[[], float] | None = None, **settings: Any
) -> AsyncIterator[Judge]:
    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", server.chat), web.get("/v1/models", models)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "socket")).start()
    peers = PeerRegistry(
        rng=np.random.default_rng(0), schedule=CheckSchedule(check_s=3600.0, first_retry_s=0.05)
    )
    peers.offer(PeerRecord("peer", f"unix:{folder / 'socket'}"), source="test", access=Access())
    directory = SimpleNamespace(registry=lambda _tier: peers)
    options = {} if clock is None else {"clock": clock}
    judge = Judge(JudgeSettings(**settings), directory, Metered(), **options)  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peers.run)
        tasks.start_soon(judge.run)
        with anyio.fail_after(60):
            while not peers.healthy():  # noqa: ASYNC110
                await anyio.sleep(0.01)
        yield judge
        tasks.cancel_scope.cancel()
    await runner.cleanup()


async def tried(judge: Judge) -> dict[str, Any]:
    """Asks once, which requests the trial, and returns what the trial found."""
    assert await judge.p_same(ARM, *QUESTION) is None
    with anyio.fail_after(60):
        while "m" not in judge.report()["models"]:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    return dict(judge.report()["models"]["m"])


async def test_a_judge_is_tried_and_then_asked_in_both_orders(tmp_path: Path) -> None:
    server = JudgeServer(prefers_the_first)
    async with judging(server, tmp_path) as judge:
        assert await tried(judge) == {"used": True, "finding": "its AUROC on 20 trial pairs is 1.00"}
        assert len(server.requests) == 2 * len(TRIAL_PAIRS)
        assert await judge.p_same(ARM, *QUESTION) == pytest.approx((0.9 + 0.5) / 2)
        calls = 2 * len(TRIAL_PAIRS) + 2
        report = judge.report()
        assert (report["calls"], report["tokens"], report["energy_j"]) == (calls, 100 * calls, 0.5 * calls)
    for request in server.requests:
        assert (request["max_tokens"], request["logprobs"], request["top_logprobs"]) == (1, True, 5)
        assert isinstance(request["messages"][0]["content"], str)  # text alone


@pytest.mark.parametrize(
    ("server", "finding"),
    [
        (JudgeServer(guesses), "its AUROC on 20 trial pairs is 0.50"),
        (
            JudgeServer(logprobs=False),
            "its reply to a question in text alone has no probabilities of yes and no",
        ),
        (JudgeServer(lambda *_: 0.0), "its AUROC on 20 trial pairs is 0.50"),
        (JudgeServer(status=400), "it does not answer a question in text alone"),
    ],
)
async def test_a_model_that_cannot_judge_is_not_asked(
    server: JudgeServer, finding: str, tmp_path: Path
) -> None:
    async with judging(server, tmp_path) as judge:
        found = await tried(judge)
        assert found["used"] is False
        assert found["finding"].startswith(finding)
        asked = len(server.requests)
        assert await judge.p_same(ARM, *QUESTION) is None
        assert len(server.requests) == asked


async def test_a_model_whose_server_failed_is_tried_again_later(tmp_path: Path) -> None:
    now = [0.0]
    server = JudgeServer(status=503)
    async with judging(server, tmp_path, clock=lambda: now[0]) as judge:
        assert await judge.p_same(ARM, *QUESTION) is None
        with anyio.fail_after(60):
            while not server.requests:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        await anyio.sleep(0.1)
        server.status = 200
        assert await judge.p_same(ARM, *QUESTION) is None
        assert judge.report()["models"] == {}
        now[0] = 61.0
        assert (await tried(judge))["used"] is True


async def test_a_model_whose_server_was_away_when_its_turn_came_is_tried_again_later(tmp_path: Path) -> None:
    now = [0.0]
    async with judging(JudgeServer(), tmp_path, clock=lambda: now[0]) as judge:
        peers = cast(PeerRegistry, judge._servers.registry("cloud"))
        (peer,) = peers.known()
        assert await judge.p_same(ARM, *QUESTION) is None
        peers.withdraw("peer", source="test")
        await anyio.sleep(0.1)
        peers.offer(peer.record, source="test", access=Access())
        with anyio.fail_after(60):
            while not peers.healthy():  # noqa: ASYNC110
                await anyio.sleep(0.01)
        now[0] = 61.0
        assert (await tried(judge))["used"] is True


@pytest.mark.parametrize("limit", [{"calls_per_hour": 164}, {"tokens_per_day": 16_400}])
async def test_calls_and_tokens_are_limited_over_time(limit: dict[str, int], tmp_path: Path) -> None:
    """A quarter of the limit may be used at once: 41 calls, of which the trial needs 40."""
    now = [0.0]
    server = JudgeServer()
    async with judging(server, tmp_path, clock=lambda: now[0], **limit) as judge:
        await tried(judge)
        assert await judge.p_same(ARM, *QUESTION) is not None
        assert await judge.p_same(ARM, *QUESTION) is None
        assert len(server.requests) == 42
        now[0] = 86_400.0
        assert await judge.p_same(ARM, *QUESTION) is not None


async def test_only_other_limits_start_new_budgets(tmp_path: Path) -> None:
    limits, server = {"calls_per_hour": 164}, JudgeServer()
    async with judging(server, tmp_path, clock=lambda: 0.0, **limits) as judge:
        await tried(judge)
        assert await judge.p_same(ARM, *QUESTION) is not None
        judge.apply(JudgeSettings(**limits))
        assert await judge.p_same(ARM, *QUESTION) is None, "the budget is used up"
        judge.apply(JudgeSettings(calls_per_hour=8))
        assert await judge.p_same(ARM, *QUESTION) is not None
        judge.apply(JudgeSettings(calls_per_hour=8, enabled=False))
        assert await judge.p_same(ARM, *QUESTION) is None


async def test_a_judge_that_is_switched_off_is_not_tried(tmp_path: Path) -> None:
    server = JudgeServer()
    async with judging(server, tmp_path, enabled=False) as judge:
        assert await judge.p_same(ARM, *QUESTION) is None
        await anyio.sleep(0.05)
        assert server.requests == []
        judge.apply(JudgeSettings())
        assert (await tried(judge))["used"] is True


async def test_a_trial_ends_at_the_first_reply_without_probabilities() -> None:
    asked = []

    async def ask(pair: TrialPair) -> float | None:
        asked.append(pair)
        return None

    assert not (await try_judge(ask)).passed
    assert len(asked) == 1


def test_the_trial_pairs_are_balanced() -> None:
    """A judge that says the same of all pairs with one question has an AUROC of 0.5."""
    by_question: dict[str, list[bool]] = {}
    for pair in TRIAL_PAIRS:
        by_question.setdefault(pair.question, []).append(pair.same)
    assert all(sorted(same) == [False, True] for same in by_question.values())
    assert auroc([0.4], [0.4]) == 0.5
