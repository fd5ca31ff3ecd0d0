"""Guards the handling of remote input, so that one message or reply harms nothing else.

1. Each kind of remote input (feedback, peer records, ...) has one door. Its handler runs inside `guard`.
2. A handler checks the input first and raises an InarvlError if it is invalid. The input is then dropped and
   logged, at most LOGGED_AT_ONCE times in a row and once per LOGGED_EVERY_S after that.
3. Any other exception is a fault of inarvl that this input found. It is logged with its traceback, once per
   place in the code, and counted. It does not leave the door: a restart would meet the same input again.
4. Outside of doors, an unexpected exception ends the process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from inarvl.errors import InarvlError
from inarvl.rate_limit import RateLimit

log = logging.getLogger(__name__)

LOGGED_AT_ONCE, LOGGED_EVERY_S = 5, 60.0
MAX_SOURCE, MAX_REASON = 120, 400
MAX_PLACES = 64


class Door:
    """The door of one kind of remote input.

    Attributes:
        kind: the kind of input, in the plural, for the log.
        dropped: how many inputs were invalid.
        faults: how many inputs met a fault of inarvl.
    """

    def __init__(self, kind: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.kind = kind
        self.dropped = 0
        self.faults = 0
        self._limit = RateLimit(LOGGED_AT_ONCE, LOGGED_EVERY_S, clock=clock)
        self._places: set[tuple[type[Exception], str, int]] = set()

    @contextmanager
    def guard(self, source: str) -> Iterator[None]:
        """Runs the block, and drops the input from `source` if the block raises an exception."""
        try:
            yield
        except InarvlError as error:
            self.drop(source, str(error))
        except Exception as error:
            self._fault(source, error)

    def drop(self, source: str, reason: str) -> None:
        """Counts and logs an invalid input."""
        self.dropped += 1
        suppressed = self._limit.acquire()
        if suppressed is not None:
            more = f" ({suppressed} more were not logged)" if suppressed else ""
            log.warning(
                "%s: ignored %s: %s%s", self.kind, short(source, MAX_SOURCE), short(reason, MAX_REASON), more
            )

    def _fault(self, source: str, error: Exception) -> None:
        self.faults += 1
        place = (type(error), *_place(error.__traceback__))
        if place not in self._places and len(self._places) < MAX_PLACES:
            self._places.add(place)
            log.error(
                "%s: a fault of inarvl, which %s found; please report it",
                self.kind,
                short(source, MAX_SOURCE),
                exc_info=error,
            )


def short(text: str, limit: int) -> str:
    """Returns `text` on one line with at most `limit` characters, for the log."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:limit]
    )


def _place(trace: TracebackType | None) -> tuple[str, int]:
    """Returns the file and the line where an exception was raised."""
    name, line = "", 0
    while trace is not None:
        name, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return name, line
