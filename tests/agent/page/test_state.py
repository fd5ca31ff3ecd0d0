"""What the page shows of answers, cameras and telemetry."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from agent.answering.question import QuestionReader
from agent.config.page_settings import PageSettings
from agent.config.settings import Settings
from agent.intake.request import Request
from agent.messages.images import Mask
from agent.messages.query import Query
from agent.page.page import Page
from agent.page.telemetry_view import telemetry_view
from controller import Arm
from http_rig import answer_to, jpeg_url
from inarvl.redaction import hide
from page_rig import entry, record

pytestmark = pytest.mark.anyio


async def answered(page: Page, *, texts: bool = True, mask: Mask = ()) -> dict[str, Any]:
    """Adds an answer about a red picture, and returns it as the page has it after its picture was made."""

    async def reply(_: object) -> None: ...

    image = base64.b64decode(jpeg_url().partition(",")[2])
    query = Query("q", "How many?", image=image, client="camera")
    request = Request("k", query, reply, 0.0, 1.0)
    question = QuestionReader(lambda: (64,), Settings(device="d")).read(query)
    arm = Arm("local", "small", 64, "board")
    execution = SimpleNamespace(
        arm=arm, latency_ms=1.0, compute_ms=1.0, queue_ms=0.0, energy_j=None, failure=None
    )
    attempt = SimpleNamespace(execution=execution, text="two")
    decision = SimpleNamespace(arm=arm, propensity=1.0, predictions={})
    made: Any = SimpleNamespace(question=question, decision=decision, attempt=attempt, reason="r")
    finished: Any = SimpleNamespace(attempts=(attempt,), comparisons=())
    page.answered(request, answer_to(request), made, finished, texts=texts, mask=mask)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(page.run)
        for _ in range(200):
            if page.state.since(0)["answers"][0]["picture"]:
                break
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    shown: dict[str, Any] = page.state.since(0)["answers"][0]
    return shown


async def test_a_picture_is_shown_only_if_the_site_file_allows_it_and_somebody_looks() -> None:
    for pictures, readers, shown in ((True, 1, True), (False, 1, False), (True, 0, False)):
        page = Page(PageSettings(pictures=pictures), "d")
        page.readers = readers
        assert bool((await answered(page))["picture"]) is shown


async def test_without_texts_there_is_no_question_no_answer_and_no_picture() -> None:
    page = Page(PageSettings(pictures=True), "d")
    page.readers = 1
    shown = await answered(page, texts=False)
    assert shown["picture"] is None
    assert not {"question", "answer", "warning"} & shown.keys()
    assert shown["tier"] == "cloud"


async def test_without_the_setting_nothing_is_collected() -> None:
    page = Page(None, "d")
    page.event({"event": "drift"})
    page.telemetry({})
    assert page.state.revision == 0


def test_secrets_are_not_shown() -> None:
    hide("a-secret-of-the-board")
    page = Page(PageSettings(), "d")
    page.state.add_answer(entry("is it a-secret-of-the-board?"), record())
    page.event({"event": "error", "message": "a-secret-of-the-board"})
    assert "a-secret-of-the-board" not in str(page.state.since(0))


def test_telemetry_is_bounded() -> None:
    server = {
        "tier": "cloud",
        "id": "x",
        "trust": "trusted",
        "healthy": False,
        "problem": "p" * 5000,
        "link": None,
    }
    content = {
        "time": 1.0,
        "mode": "auto",
        "device": {"cpu_load": 0.5},
        "servers": [server] * 100,
        "controller": {"questions": 1, "kept": {"low": 0.9, "estimate": 0.95, "high": 1.0}, "floor": 0.97},
        "metrics": {"x": 1.0},
    }
    view = telemetry_view(content)
    assert len(view["servers"]) == 16
    assert len(view["servers"][0]["problem"]) == 200
    assert "metrics" not in view
    assert view["controller"]["kept"]["estimate"] == 0.95
