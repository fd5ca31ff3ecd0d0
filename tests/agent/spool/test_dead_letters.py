"""What was set aside is kept for the administrator, in bounded number."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.spool.dead_letters import MAX_LETTERS, DeadLetters, read_dead_letters

pytestmark = pytest.mark.anyio


async def test_the_newest_letters_are_kept_and_reported(tmp_path: Path) -> None:
    reported: list[tuple[str, str]] = []
    letters = DeadLetters(tmp_path / "set-aside", lambda code, message: reported.append((code, message)))
    for number in range(MAX_LETTERS + 3):
        await letters.set_aside("query_set_aside", f"key {number}", "why", b"content")
    kept = read_dead_letters(tmp_path / "set-aside")
    assert [letter.key for letter in kept] == [f"key {number}" for number in range(3, MAX_LETTERS + 3)]
    assert len(list((tmp_path / "set-aside").iterdir())) == 2 * MAX_LETTERS
    assert len(reported) == MAX_LETTERS + 3
    assert reported[0][0] == "query_set_aside"
    assert "key 0: why" in reported[0][1]


async def test_a_failing_disk_still_reports(tmp_path: Path) -> None:
    reported: list[str] = []
    (tmp_path / "set-aside").write_text("a file where the folder should be")
    await DeadLetters(tmp_path / "set-aside", lambda code, _: reported.append(code)).set_aside(
        "c", "k", "r", b""
    )
    assert reported == ["c"]


def test_an_unreadable_letter_is_omitted(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{")
    assert read_dead_letters(tmp_path) == []
