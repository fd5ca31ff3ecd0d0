"""The decision log is bounded, private, and survives a damaged line."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agent.reporting.decision_log import NAME, OLDER, DecisionLog, DecisionsUnreadable, read_decisions


def test_it_keeps_the_newest_records_within_its_limit(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path, max_bytes=200)
    for number in range(50):
        log.append({"number": number})
    numbers = [record["number"] for record in read_decisions(tmp_path)]
    assert numbers == list(range(numbers[0], 50))
    assert len(numbers) > 10
    for name in (NAME, OLDER):
        assert (tmp_path / name).stat().st_size <= 200
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_damaged_line_is_skipped(tmp_path: Path) -> None:
    DecisionLog(tmp_path).append({"number": 1})
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"number": 2, "re\n\xff\xfe\n[1]\n')
    DecisionLog(tmp_path).append({"number": 3})
    assert [record["number"] for record in read_decisions(tmp_path)] == [1, 3]


def test_if_it_may_not_be_kept_nothing_is(tmp_path: Path) -> None:
    DecisionLog(tmp_path).append({"number": 1})
    DecisionLog(tmp_path, keep=False).append({"number": 2})
    with pytest.raises(DecisionsUnreadable, match="has no decision log"):
        read_decisions(tmp_path)


def test_a_disk_that_cannot_be_written_loses_records_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = DecisionLog(tmp_path / "none")
    log.append({"number": 1})
    log.append({"number": 2})
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text
