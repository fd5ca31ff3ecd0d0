"""One door to fuzz: how its inputs are made and used, and what counts as a finding."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel

from inarvl.door import Door
from lab.rig.fuzz.mutation import Mutator

SLOW_S = 1.0  # of processor time for one input
SHRINKING_STEPS = 300
YIELD_EVERY = 1000
MAX_FINDINGS = 20

Use = Callable[[bytes], Awaitable[None]]


class TooSlow(Exception):
    """One input needed over SLOW_S of processor time."""


class RaisingDoor(Door):
    """A door that raises an unexpected exception instead of logging it."""

    def drop(self, source: str, reason: str) -> None:
        """Counts an invalid input, and does not log it."""
        self.dropped += 1

    def _fault(self, source: str, error: Exception) -> None:
        raise error


@dataclass(frozen=True)
class FuzzDoor:
    """A door.

    Attributes:
        make: returns an input, from a generator of changes and one of choices.
        opened: opens the door; its value uses one input, and raises an exception that is a finding.
    """

    name: str
    make: Callable[[Mutator, Random], bytes]
    opened: Callable[[], AbstractAsyncContextManager[Use]]


@dataclass
class Finding:
    """An input with an unexpected outcome.

    Attributes:
        place: type of the exception, and where it was raised.
        example: the smallest input found.
    """

    place: str
    example: bytes
    trace: str


@dataclass
class FuzzResult:
    """What fuzzing one door found."""

    door: str
    inputs: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)


async def fuzz(door: FuzzDoor, count: int, seed: int) -> FuzzResult:
    """Tries `count` inputs; stops at MAX_FINDINGS different findings."""
    rng, result, started = Random(f"{door.name} {seed}"), FuzzResult(door.name), time.monotonic()
    mutator = Mutator(rng)
    while result.inputs < count and len(result.findings) < MAX_FINDINGS:
        async with door.opened() as use:
            while result.inputs < count:
                data = door.make(mutator, rng)
                result.inputs += 1
                if result.inputs % YIELD_EVERY == 0:
                    await anyio.lowlevel.checkpoint()
                error = await _outcome(use, data)
                if error is not None and (place := place_of(error)) not in result.findings:
                    trace = "".join(traceback.format_exception(error))
                    example = await _smallest(use, data, place)
                    result.findings[place] = Finding(place, example, trace)
                    break  # the door is opened again, without what this input left
    result.seconds = time.monotonic() - started
    return result


def place_of(error: BaseException) -> str:
    """Returns the type of an exception, and the last line of this repository that raised it."""
    root = str(Path(__file__).parents[3])
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(root)]
    frame = frames[-1] if frames else None
    where = "" if frame is None else f" at {Path(frame.filename).relative_to(root)}:{frame.lineno}"
    return f"{type(error).__name__}{where}"


async def _outcome(use: Use, data: bytes) -> Exception | None:
    started = time.process_time()
    try:
        await use(data)
        if time.process_time() - started > SLOW_S:
            raise TooSlow(f"{time.process_time() - started:.1f} s")
    except Exception as error:
        return error
    return None


async def _smallest(use: Use, data: bytes, place: str) -> bytes:
    """Removes parts of an input as long as the outcome stays the same."""
    steps, size = 0, max(1, len(data) // 2)
    while size and steps < SHRINKING_STEPS:
        start, smaller = 0, False
        while start < len(data) and steps < SHRINKING_STEPS:
            candidate, steps = data[:start] + data[start + size :], steps + 1
            error = await _outcome(use, candidate)
            if error is not None and place_of(error) == place:
                data, smaller = candidate, True
            else:
                start += size
        size = size if smaller and size > 1 else size // 2
    return data
