"""What the page shows, as JSON, and what of it changed since a reader last read.

Each part has the revision of its last change. A reader gets the parts that are newer than the revision that
it has, so a slow reader gets fewer messages, and nothing waits for it.
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

import anyio

from agent.page.entry import AnswerEntry
from agent.page.savings import Savings
from agent.page.shares import Shares
from inarvl.redaction import redacted_json

MAX_ANSWERS, MAX_EVENTS, MAX_TEXT = 30, 20, 500


class PageState:
    """The newest answers and events, the totals, and the last telemetry.

    Attributes:
        run: differs after each start of the agent.
        revision: increases with each change.
    """

    def __init__(self, device: str) -> None:
        self.run = secrets.token_hex(8)
        self.revision = 0
        self._device = device
        self._answers: OrderedDict[str, tuple[int, AnswerEntry]] = OrderedDict()
        self._events: deque[tuple[int, Mapping[str, Any]]] = deque(maxlen=MAX_EVENTS)
        self._parts: dict[str, tuple[int, Any]] = {}
        self._savings = Savings()
        self._shares = Shares()
        self._change = anyio.Event()

    def set_telemetry(self, content: Mapping[str, Any]) -> None:
        """Replaces the telemetry."""
        self._set(telemetry=content)

    def set_mode(self, mode: str) -> None:
        """Replaces the mode."""
        self._set(mode=mode)

    def add_event(self, now: float, content: Mapping[str, str]) -> None:
        """Adds an event; beyond MAX_EVENTS drops the oldest."""
        shown = {name: value[:MAX_TEXT] for name, value in content.items()}
        self._events.append((self._next(), {"time": now, **shown}))

    def add_answer(self, entry: AnswerEntry, record: Mapping[str, Any]) -> None:
        """Adds an answer to the list and to the totals; beyond MAX_ANSWERS drops the oldest."""
        self._shares.add(entry.time, on_board=entry.tier == "local")
        self._savings.add(record)
        self._set(totals=self._savings.to_json(), shares=self._shares.to_json())
        self._answers[entry.key] = self._next(), entry
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)

    def answer(self, key: str) -> AnswerEntry | None:
        """Returns a recent answer; None if there is none with this key."""
        return self._answers.get(key, (0, None))[1]

    def answer_changed(self, key: str) -> None:
        """Records that an answer has changed."""
        if key in self._answers:
            self._answers[key] = self._next(), self._answers[key][1]

    def since(self, revision: int) -> dict[str, Any]:
        """Returns what is newer than `revision`; everything for 0."""
        content: dict[str, Any] = {"run": self.run, "revision": self.revision, "device": self._device}
        content |= {name: value for name, (at, value) in self._parts.items() if at > revision}
        content["answers"] = [entry.to_json() for at, entry in self._answers.values() if at > revision]
        content["events"] = [event for at, event in self._events if at > revision]
        return _for_json(redacted_json(content))  # type: ignore[no-any-return]

    async def changed(self, revision: int) -> None:
        """Waits until there is something newer than `revision`, or until `wake`."""
        if self.revision <= revision:
            await self._change.wait()

    def wake(self) -> None:
        """Ends every `changed` that waits."""
        self._change.set()
        self._change = anyio.Event()

    def _set(self, **parts: Any) -> None:
        self._parts |= {name: (self._next(), value) for name, value in parts.items()}

    def _next(self) -> int:
        self.revision += 1
        self.wake()
        return self.revision


def _for_json(value: Any) -> Any:
    """Returns the value with None for numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _for_json(item) for name, item in value.items()}
    return [_for_json(item) for item in value] if isinstance(value, list | tuple) else value
