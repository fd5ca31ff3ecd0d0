"""The table of answers, as they come in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.messages.reply import Answer, Reply
from lab.demo.camera import Seen

SHOWN = 18


@dataclass
class Tally:
    """What came back so far."""

    answered: int = 0
    right: int = 0
    on_board: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    energies_j: list[float] = field(default_factory=list)
    energy_sources: set[str] = field(default_factory=set)

    def add(self, reply: Reply, right: bool) -> None:
        """Count one reply."""
        if not isinstance(reply, Answer):
            return
        self.answered += 1
        self.right += right
        self.on_board += reply.tier == "local"
        self.latencies_ms.append(reply.latency_ms)
        if reply.energy_j is not None:
            self.energies_j.append(reply.energy_j)
            self.energy_sources.add(reply.energy_source or "unknown")

    def summary(self) -> str:
        """One line of totals."""
        if not self.answered:
            return "none answered"
        middle = sorted(self.latencies_ms)[self.answered // 2]
        energy = ""
        if self.energies_j:
            mean_j = sum(self.energies_j) / len(self.energies_j)
            energy = f", {mean_j:.2f} J each ({'/'.join(sorted(self.energy_sources))})"
        return (
            f"{self.answered} answered, {self.right / self.answered:.0%} right, "
            f"{self.on_board / self.answered:.0%} on the board, median {middle:.0f} ms{energy}"
        )


class Board:
    """The last answers as a table with the tally below, for a live display."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._rows: deque[tuple[str | Text, ...]] = deque(maxlen=SHOWN)

    def add(self, seen: Seen) -> None:
        """Show one reply to a question whose answer is known."""
        reply, question, fault = seen.reply, seen.shot.question, seen.shot.fault
        self.tally.add(reply, seen.right)
        if not isinstance(reply, Answer):
            self._rows.append(
                (
                    question.text,
                    Text(reply.code, "red"),
                    question.answer,
                    fault,
                    "none",
                    reply.message,
                    "",
                    "",
                )
            )
            return
        self._rows.append(
            (
                question.text,
                Text(reply.answer, "green" if seen.right else "red"),
                question.answer,
                fault,
                "board" if reply.tier == "local" else "cloud",
                reply.reason,
                f"{reply.latency_ms:.0f} ms",
                "" if reply.energy_j is None else f"{reply.energy_j:.2f} J",
            )
        )

    def __rich__(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for name, ratio in (("question", 5), ("answer", 2), ("truth", 2), ("camera", 2)):
            table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
        table.add_column("where", no_wrap=True, min_width=5)
        table.add_column("why", ratio=5, no_wrap=True, overflow="ellipsis")
        table.add_column("latency", justify="right", no_wrap=True, min_width=7)
        table.add_column("energy", justify="right", no_wrap=True, min_width=7)
        for row in self._rows:
            table.add_row(*row)
        return Group(table, Text(self.tally.summary(), "bold"))
