"""Logging of every inarvl process, for a terminal or the systemd journal."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from inarvl.printable import printable
from inarvl.redaction import redacted

TRACING = "zeroconf"  # a library that warns of an unreachable network with a traceback


class _OneLine(logging.Formatter):
    """Escapes control characters in messages, which may have text of remote hosts, and redacts secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


def configure(level: str = "info", *, verbose: str | None = None) -> None:
    """Logs to standard error from `level` upwards; without time stamps under systemd, which adds its own.

    Exceptions that end the process are printed without secrets from then on, too.

    Args:
        verbose: a logger of which everything is logged.
    """
    with_time = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    without_time = "%(levelname)s %(name)s: %(message)s"
    under_systemd = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(without_time if under_systemd else with_time))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    library = logging.getLogger(TRACING)
    library.removeFilter(_without_traceback)
    if level.lower() != "debug":
        library.addFilter(_without_traceback)
    if verbose is not None:
        logging.getLogger(verbose).setLevel(logging.DEBUG)
    redact_tracebacks()


def redact_tracebacks() -> None:
    """Prints exceptions that end the process or a thread without secrets."""
    sys.excepthook = _print_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_uncaught_in_thread


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


def _print_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))


def _print_uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_value is not None and not issubclass(hook.exc_type, SystemExit):
        _print_uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
