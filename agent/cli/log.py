"""`inarvl log`."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import anyio
import typer

from agent import client
from agent.cli.log_line import entry, known, line
from agent.cli.options import Config
from agent.config.settings import Settings, site_settings
from agent.messages.topics import Topics
from agent.reporting.decision_log import DecisionsUnreadable, read_decisions
from inarvl.interrupt import interruptible
from inarvl.printable import printable
from inarvl.redaction import redacted
from inarvl.terminal import explained, print_json

WAIT_S = 3.0


def log(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print replies, decisions and events as they happen.")
    ] = False,
    queries: Annotated[
        bool, typer.Option("--queries", help="With --follow: print queries too. They come with their images.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Print so many of the latest decisions first.")
    ] = 10,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on each line.")] = False,
) -> None:
    """Print the latest decisions of the agent, one on each line; with --follow, what happens, until Ctrl-C.

    The latest decisions are in the agent's state directory, which only root and the agent's user can read.
    """
    with explained("inarvl"):
        settings = site_settings(config)
        try:
            records = read_decisions(settings.state_dir) if lines else []
        except DecisionsUnreadable as error:
            if not follow:
                raise
            typer.secho(f"inarvl: {printable(error)}", err=True, fg="yellow")
            records = []
        for record in records[-lines:]:
            _print({"kind": "decision", **record}, known(record, "time") or 0.0, as_json)
        if follow:
            with suppress(KeyboardInterrupt), interruptible():
                anyio.run(partial(_follow, settings, queries=queries, as_json=as_json))


async def _follow(settings: Settings, *, queries: bool, as_json: bool) -> None:
    topics = Topics(settings.device)
    wanted: tuple[str, ...] = (topics.decision, topics.event, topics.result("#"))
    if queries:
        wanted += (topics.query, topics.query_of("+"))
    async with client.listening(settings, wanted, wait_s=WAIT_S) as connection:
        async for message in connection.messages():
            message.ack()
            _print(entry(message, topics), time.time(), as_json)


def _print(found: dict[str, Any], at: float, as_json: bool) -> None:
    if as_json:
        print_json({"time": round(at, 3), **found}, one_line=True)
    else:
        typer.echo(printable(redacted(line(found, at))))
