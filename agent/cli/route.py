"""`inarvl route`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final

import anyio
import typer
from rich.console import Console
from rich.table import Table

from agent import client
from agent.cli.figures import UNKNOWN, amount, milliseconds, number, percent
from agent.cli.options import Config, Json
from agent.cli.question import REPLY_MARGIN_S, Deadline, Images, Pin, Words, fail, query_of
from agent.config.settings import site_settings
from agent.messages.reply import Refusal
from inarvl.terminal import explained, plain, print_json

CERTAIN: Final = 0.9999


def route(
    images: Images,
    question: Words,
    pin: Pin = None,
    deadline: Deadline = 30.0,
    _dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask no model; this command never does.")
    ] = True,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Explain which model the running agent would ask now, and why; no model is asked."""
    with explained("inarvl"):
        query = query_of(images, question, deadline, pin=pin, dry_run=True)
        settings = site_settings(config)
        reply = anyio.run(partial(client.explain, settings, query, timeout_s=deadline + REPLY_MARGIN_S))
    if isinstance(reply, Refusal):
        if as_json:
            print_json(json.loads(reply.to_bytes()))
        fail(reply)
    if as_json:
        print_json(reply.decision)
    else:
        _print(reply.decision)


def _print(decision: Mapping[str, Any]) -> None:
    screen = Console()
    screen.print(plain(f"{decision.get('arm', UNKNOWN)} would be asked first"), style="bold")
    screen.print(plain(f"reason: {decision.get('reason', UNKNOWN)}"))
    if (propensity := _value(decision, "propensity")) is not None and propensity < CERTAIN:
        screen.print(
            plain(
                f"chosen with a probability of {percent(propensity, 1)}: a few questions are tried elsewhere"
            )
        )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("arm", "latency", "95% below", "energy", "risk", "escalated", "score"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    ruled_out = []
    for arm in decision.get("arms", []):
        table.add_row(
            plain(arm.get("arm", UNKNOWN)),
            milliseconds(_value(arm, "latency_ms")),
            milliseconds(_value(arm, "latency_p95_ms")),
            amount(_value(arm, "energy_j"), "J"),
            percent(_value(arm, "risk")),
            percent(_value(arm, "escalation")),
            UNKNOWN if arm.get("blocked") else _score(arm),
        )
        if arm.get("blocked"):
            ruled_out.append(f"ruled out: {arm.get('arm', UNKNOWN)}: {arm['blocked']}")
    screen.print(table)
    for line in ruled_out:
        screen.print(plain(line))
    if decision.get("resting"):
        screen.print(plain(f"cannot be asked now: {decision['resting']}"))
    screen.print("risk: accuracy that the answer may lose; score: the lowest is asked first", style="dim")


def _score(arm: Mapping[str, Any]) -> str:
    score = _value(arm, "score")
    return UNKNOWN if score is None else number(score)


def _value(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    return float(value) if isinstance(value, (int, float)) else None
