"""One frame of `inarvl top`: at 80 columns, also without colour."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.cli.figures import UNKNOWN, amount, labelled, milliseconds, percent, size, within
from agent.cli.log_line import known
from agent.cli.top_state import SeenAnswer, TopState, shares
from inarvl.terminal import plain

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
DIGITS: Final = "0123456789"
BINS, BIN_S = 60, 10.0
LATEST: Final = 8
GAUGES: Final = (
    "power_w", "cpu_load", "gpu_load", "temp_c", "memory_available_mb", "battery_pct", "throttled",
    "power_mode",
)  # fmt: skip


def frame(state: TopState, now: float, *, unicode: bool = True, connection: str | None = None) -> Group:
    """Returns the frame.

    Args:
        now: seconds since 1970.
        unicode: whether the terminal can print block characters.
        connection: why there is no connection to the broker; None if there is one.
    """
    parts: list[RenderableType] = [_head(state, now)]
    for problem in (connection, state.problem, *(state.telemetry.problems if state.telemetry else ())):
        if problem:
            parts.append(plain(f"problem: {problem}", "red"))
    parts += [_row(name, text) for name, text in _rows(state, now, unicode)]
    if state.telemetry is not None:
        parts.append(_servers(state))
    parts.append(_answers(state))
    parts += [_row("event", text) for text in state.events]
    return Group(*parts)


def _head(state: TopState, now: float) -> Text:
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    mode = f", mode {state.mode}" if state.mode else ""
    online = state.status or "unknown to the broker"
    return plain(f"{clock}  agent {state.topics.device}: {online}{mode}", "bold")


def _rows(state: TopState, now: float, unicode: bool) -> list[tuple[str, str]]:
    telemetry = state.telemetry
    controller: Mapping[str, Any] = telemetry.controller if telemetry else {}
    device: Mapping[str, Any] = telemetry.device if telemetry else {}
    rows = [("answers", _totals(controller)), ("board", _timeline(state, now, unicode))]
    rows.append(("recent", _recent(state, now)))
    rows.append(("accuracy", _accuracy(controller)))
    rows.append(("queue", _queue(state.raw)))
    gauges = [labelled(name, device[name]) for name in GAUGES if device.get(name) is not None]
    rows.append(("gauges", ", ".join(gauges) or UNKNOWN))
    return rows


def _totals(controller: Mapping[str, Any]) -> str:
    questions = known(controller, "questions")
    if questions is None:
        return UNKNOWN
    parts = [f"{questions:,.0f} since the first"]
    for name, words in (("edge_share", "on the board"), ("escalated", "escalated"), ("audited", "audited")):
        parts.append(f"{percent(known(controller, name))} {words}")
    return ", ".join(parts)


def _timeline(state: TopState, now: float, unicode: bool) -> str:
    bars = BLOCKS if unicode else DIGITS
    drawn = "".join(
        "." if share is None else bars[max(1 if unicode else 0, round(share * (len(bars) - 1)))]
        for share in shares(state.answers, now, BINS, BIN_S)
    )
    return f"{drawn} {BINS * BIN_S / 60:.0f} min"


def _recent(state: TopState, now: float) -> str:
    recent = [answer for answer in state.answers if now - answer.at < BINS * BIN_S]
    if not recent:
        return f"no answer seen in the last {BINS * BIN_S / 60:.0f} minutes"
    latencies = sorted(answer.latency_ms for answer in recent if answer.latency_ms is not None)
    energies = [answer.energy_j for answer in recent if answer.energy_j is not None]
    parts = [f"{len(recent):,} answers, {percent(sum(a.local for a in recent) / len(recent))} on the board"]
    parts += [f"median {milliseconds(latencies[len(latencies) // 2])}"] if latencies else []
    parts += [f"mean {amount(sum(energies) / len(energies), 'J')}"] if energies else []
    return ", ".join(parts)


def _accuracy(controller: Mapping[str, Any]) -> str:
    floor, kept = known(controller, "floor"), controller.get("kept")
    if not isinstance(kept, dict) or any(known(kept, name) is None for name in ("low", "estimate", "high")):
        return f"not known yet; the floor is {percent(floor)} of the cloud's"
    state = ""
    if floor is not None:
        state = (
            "held" if kept["low"] >= floor else "missed" if kept["high"] < floor else "within the interval"
        )
        state = f"; floor {percent(floor)}: {state}"
    return f"{within(kept)} of the cloud's{state}"


def _queue(raw: Mapping[str, Any]) -> str:
    queue, spool = _part(raw, "queue"), _part(raw, "spool")
    parts = []
    counts = [known(queue, name) for name in ("waiting", "capacity", "in_work", "workers")]
    if None not in counts:
        waiting, capacity, in_work, workers = (f"{count:,.0f}" for count in counts)
        parts.append(f"{waiting} of {capacity} waiting, {in_work} of {workers} workers busy")
    if (count := known(spool, "open")) is not None:
        used, most = known(spool, "bytes") or 0.0, known(spool, "max_bytes") or 0.0
        parts.append(f"spool {count:,.0f} ({size(used)} of {size(most)})")
    return "; ".join(parts) or UNKNOWN


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _servers(state: TopState) -> Table:
    table = _table({"server": 16, "tier": 5, "state": None, "round trip": 10, "uplink": 12})
    assert state.telemetry is not None
    for server in state.telemetry.servers:
        link = server.link
        table.add_row(
            plain(server.id),
            server.tier,
            "healthy" if server.healthy else plain(server.problem or "not checked yet", "red"),
            milliseconds(link.rtt_ms) if link else "",
            amount(link.uplink_mbps, "Mbit/s") if link else "",
        )
    return table


def _answers(state: TopState) -> Table:
    table = _table({"time": 8, "answered by": 20, "latency": 7, "energy": 8, "reason": None})
    for answer in list(state.answers)[-LATEST:][::-1]:
        table.add_row(*_cells(answer))
    return table


def _cells(answer: SeenAnswer) -> tuple[RenderableType, ...]:
    return (
        time.strftime("%H:%M:%S", time.localtime(answer.at)),
        plain(answer.where, "green" if answer.local else "cyan"),
        milliseconds(answer.latency_ms),
        amount(answer.energy_j, "J"),
        plain(answer.reason),
    )


def _table(widths: Mapping[str, int | None]) -> Table:
    """Returns an empty table; a column without a width gets what the others leave."""
    table = Table(box=None, pad_edge=False, show_edge=False, expand=True)
    for name, width in widths.items():
        ratio = 1 if width is None else None
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", header_style="dim", width=width, ratio=ratio
        )
    return table


def _row(name: str, text: str) -> Text:
    return Text.assemble((f"{name:9} ", "dim"), plain(text))
