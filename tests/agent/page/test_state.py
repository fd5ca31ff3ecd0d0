"""What the page shows of answers, cameras and telemetry."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from PIL import Image

from agent.answering.answering import Answered, Finished
from agent.answering.arms import Attempt
from agent.answering.question import QuestionReader
from agent.config.page_settings import PageSettings
from agent.config.settings import Settings
from agent.intake.request import Request
from agent.messages.images import Mask
from agent.messages.query import Query
from agent.page.page import PICTURE_PX, Page
from agent.page.telemetry_view import telemetry_view
from agent.reporting.telemetry import decision_record
from controller import Arm, Execution
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
    question = QuestionReader(lambda: (PICTURE_PX,), Settings(device="d")).read(query)
    arm = Arm("local", "small", 64, "board")
    attempt = Attempt(Execution(arm, 1.0), "two")
    decision: Any = SimpleNamespace(arm=arm, propensity=1.0, predictions={})
    made = Answered(question, decision, (attempt,), 0, "r")
    kept = decision_record(request, made, Finished((attempt,), (), ()), texts=False)
    page.answered(request, answer_to(request), question, kept, texts=texts, mask=mask)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(page.run)
        await anyio.wait_all_tasks_blocked()  # the picture is made without a thread, because it has that size
        tasks.cancel_scope.cancel()
    shown: dict[str, Any] = page.state.since(0)["answers"][0]
    return shown


async def test_a_picture_is_shown_only_if_the_site_file_allows_it_and_somebody_looks() -> None:
    for pictures, readers, shown in ((True, 1, True), (False, 1, False), (True, 0, False)):
        page = Page(PageSettings(pictures=pictures), "d")
        page.readers = readers
        assert bool((await answered(page))["picture"]) is shown


async def test_a_picture_has_the_mask_of_its_camera() -> None:
    page = Page(PageSettings(pictures=True), "d")
    page.readers = 1
    shown = await answered(page, mask=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),))
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(page.run)
            while (picture := page.state.since(0)["answers"][0]["picture"]) is None:
                await page.state.changed(page.state.revision)
            tasks.cancel_scope.cancel()
    assert shown["key"] == page.state.since(0)["answers"][0]["key"]
    with Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))) as image:
        assert image.convert("L").getextrema() == (0, 0)


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
