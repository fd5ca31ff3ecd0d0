"""Log lines for a terminal or the journal, one form for every inarvl process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def configure(level: str = "info") -> None:
    """Log to standard error at `level`; under systemd without time stamps, since the journal has its own."""
    stamped = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    plain = "%(levelname)s %(name)s: %(message)s"
    under_systemd = "JOURNAL_STREAM" in os.environ
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format=plain if under_systemd else stamped, force=True
    )


@contextmanager
def silent(name: str) -> Iterator[None]:
    """Log nothing below errors of the logger `name` meanwhile: what it would say is said elsewhere."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
