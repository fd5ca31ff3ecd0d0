"""The mode and feedback on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from http_rig import chat
from page_rig import PageRig, entry, record

pytestmark = pytest.mark.anyio


async def test_the_mode_is_set(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving():
        assert (await rig.post({"mode": "cloud"}, "/mode"))[:2] == (200, {"mode": "cloud"})
    assert rig.modes == ["cloud"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"mode": "off"}, 400, "bad_mode"),
        ({"mode": 1}, 400, "bad_field"),
        ([], 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b"x" * 2000, 413, "too_large"),
    ],
)
async def test_an_invalid_mode_is_refused(tmp_path: Path, body: Any, status: int, code: str) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving():
        got, content, _ = await rig.post(body, "/mode")
        assert (got, content["error"]["code"]) == (status, code)
    assert rig.modes == []


async def test_feedback_counts_once_and_is_the_operators(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    async with rig.serving():
        _, body, _ = await rig.post(chat())
        shown = entry()
        shown.decision_id = body["inarvl"]["decision_id"]
        rig.page.state.add_answer(shown, record())
        path = f"/answers/{shown.key}/feedback"
        assert (await rig.post({"correct": False}, path))[:2] == (200, {"accepted": True})
        assert rig.page.state.since(0)["answers"][0]["correct"] is False
        status, error, _ = await rig.post({"correct": True}, path)
        assert (status, error["error"]["message"]) == (
            400,
            "this answer has its feedback already: send it once",
        )
        assert rig.page.state.since(0)["answers"][0]["correct"] is False


@pytest.mark.parametrize("body", [{}, {"correct": 1}, {"correct": "true"}])
async def test_invalid_feedback_is_refused(tmp_path: Path, body: Any) -> None:
    rig = PageRig(tmp_path)
    shown = entry()
    rig.page.state.add_answer(shown, record())
    async with rig.serving():
        assert (await rig.post(body, f"/answers/{shown.key}/feedback"))[0] == 400


async def test_an_answer_is_not_named_by_its_decision_id(tmp_path: Path) -> None:
    rig = PageRig(tmp_path)
    shown = entry()
    rig.page.state.add_answer(shown, record())
    async with rig.serving():
        for key in (shown.decision_id, "0"):
            status, error, _ = await rig.post({"correct": True}, f"/answers/{key}/feedback")
            assert (status, error["error"]["code"]) == (400, "bad_feedback")
