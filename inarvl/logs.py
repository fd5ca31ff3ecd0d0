"""Logging of every inarvl process, for a terminal or the systemd journal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inarvl.printable import printable


class _OneLine(logging.Formatter):
    """Escapes control characters in messages: they may have text of remote hosts."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)


def configure(level: str = "info", *, verbose: str | None = None) -> None:
    """Logs to standard error from `level` upwards; without time stamps under systemd, which adds its own.

    Args:
        verbose: a logger of which everything is logged.
    """
    with_time = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    without_time = "%(levelname)s %(name)s: %(message)s"
    under_systemd = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(without_time if under_systemd else with_time))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if verbose is not None:
        logging.getLogger(verbose).setLevel(logging.DEBUG)


@contextmanager
def silent(name: str) -> Iterator[None]:
    """Logs only errors of the logger `name` inside the block."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
