"""What a library warns of is one line in the log; with `debug` its traceback is there too."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from inarvl import logs


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, library = logging.getLogger(), logging.getLogger(logs.TRACING)
    before = root.handlers[:], root.level, library.filters[:]
    yield
    root.handlers[:], root.level, library.filters[:] = before


@pytest.mark.parametrize(("level", "traced"), [("info", False), ("debug", True)])
def test_an_unreachable_network_is_one_line(
    level: str, traced: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(level)
    for name in (logs.TRACING, "other"):
        try:
            raise OSError(101, "Network is unreachable")
        except OSError as error:
            logging.getLogger(name).warning("socket: %s", error, exc_info=True)
    printed = capsys.readouterr().err
    assert printed.count("socket: [Errno 101]") == 2
    assert printed.count("Traceback") == 1 + traced
