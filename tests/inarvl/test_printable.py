"""Text of remote hosts can neither control a terminal nor forge a line of the log."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.console import Console

from inarvl import logs
from inarvl.printable import LINE_BREAKS, printable
from inarvl.terminal import plain

HOSTILE = "m[/x]\x1b[2J\r\nERROR agent: forged\u202e\x00"


def test_control_characters_become_escape_sequences() -> None:
    assert printable(HOSTILE) == r"m[/x]\x1b[2J\r\nERROR agent: forged\u202e\x00"
    assert printable("two\nlines\x07", keep=LINE_BREAKS) == "two\nlines\\x07"
    assert printable("größer, 大") == "größer, 大"


def test_markup_is_not_read() -> None:
    screen = Console(file=io.StringIO(), width=200)
    screen.print(plain(HOSTILE))
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue() == printable(HOSTILE) + "\n"


def test_a_message_stays_on_its_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    try:
        logs.configure("info", verbose="agent")
        logging.getLogger("agent.test").debug("%s", HOSTILE)
        logging.getLogger("other").debug("not logged")
        try:
            raise ValueError
        except ValueError:
            logging.getLogger("agent.test").exception("failed")
    finally:
        root.handlers[:], root.level = before
        logging.getLogger("agent").setLevel(logging.NOTSET)
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith(printable(HOSTILE))
    assert rest[-1] == "ValueError", "a traceback keeps its lines"
    assert "not logged" not in stream.getvalue()
