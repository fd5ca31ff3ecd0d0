"""Logging of every inarvl process, for a terminal or the systemd journal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def configure(level: str = "info") -> None:
    """Logs to standard error from `level` upwards; without time stamps under systemd, which adds its own."""
    with_time = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    without_time = "%(levelname)s %(name)s: %(message)s"
    under_systemd = "JOURNAL_STREAM" in os.environ
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format=without_time if under_systemd else with_time,
        force=True,
    )


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
