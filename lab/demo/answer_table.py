"""A live table of answers with a line of totals."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.messages.reply import Answer, Reply
from lab.demo.camera import Exchange

SHOWN = 18


@dataclass
class AnswerTotals:
    """Totals of all answers so far."""

    answered: int = 0
    correct: int = 0
    on_board: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    energies_j: list[float] = field(default_factory=list)
    energy_sources: set[str] = field(default_factory=set)

    def add(self, reply: Reply, correct: bool) -> None:
        """Adds one reply; errors are ignored."""
        if not isinstance(reply, Answer):
            return
        self.answered += 1
        self.correct += correct
        self.on_board += reply.tier == "local"
        self.latencies_ms.append(reply.latency_ms)
        if reply.energy_j is not None:
            self.energies_j.append(reply.energy_j)
            self.energy_sources.add(reply.energy_source or "unknown")

    def summary(self) -> str:
        """Returns the totals as one line."""
        if not self.answered:
            return "0 answered"
        median_ms = sorted(self.latencies_ms)[self.answered // 2]
        energy = ""
        if self.energies_j:
            mean_j = sum(self.energies_j) / len(self.energies_j)
            energy = f", mean {mean_j:.2f} J ({'/'.join(sorted(self.energy_sources))})"
        return (
            f"{self.answered} answered, {self.correct / self.answered:.0%} correct, "
            f"{self.on_board / self.answered:.0%} on the board, median {median_ms:.0f} ms{energy}"
        )


class AnswerTable:
    """The last SHOWN answers as a table above the totals, for a live display."""

    def __init__(self) -> None:
        self.totals = AnswerTotals()
        self._rows: deque[tuple[str | Text, ...]] = deque(maxlen=SHOWN)

    def add(self, exchange: Exchange) -> None:
        """Adds one question with its reply."""
        reply, question, fault = exchange.reply, exchange.asked.question, exchange.asked.fault
        self.totals.add(reply, exchange.correct)
        if not isinstance(reply, Answer):
            code = Text(reply.code, "red")
            self._rows.append((question.text, code, question.answer, fault, "none", reply.message, "", ""))
            return
        self._rows.append(
            (
                question.text,
                Text(reply.answer, "green" if exchange.correct else "red"),
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
        for name, ratio in (("question", 5), ("answer", 2), ("expected", 2), ("camera fault", 2)):
            table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
        table.add_column("where", no_wrap=True, min_width=5)
        table.add_column("reason", ratio=5, no_wrap=True, overflow="ellipsis")
        table.add_column("latency", justify="right", no_wrap=True, min_width=7)
        table.add_column("energy", justify="right", no_wrap=True, min_width=7)
        for row in self._rows:
            table.add_row(*row)
        return Group(table, Text(self.totals.summary(), "bold"))
