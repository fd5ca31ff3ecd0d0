"""`inarvl top`."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from functools import partial
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.live import Live

from agent import client
from agent.cli.keys import single_keys, wait_for_key
from agent.cli.options import Config
from agent.cli.top_frame import frame
from agent.cli.top_state import TopState
from agent.config.settings import Settings, site_settings
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.topics import Topics
from agent.reporting.decision_log import DecisionsUnreadable, read_decisions
from inarvl.interrupt import interruptible
from inarvl.terminal import explained

REFRESH_S = 0.5


def top(
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame and exit, as it does outside a terminal.")
    ] = False,
    wait_s: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the broker.")] = 3.0,
    config: Config = None,
) -> None:
    """Watch the running agent: answers by tier, accuracy, links, board, queue. q or Ctrl-C ends it.

    With --once the exit status is 1 if the agent is not online.
    """
    with explained("inarvl"):
        settings = site_settings(config)
        state = TopState(Topics(settings.device))
        with suppress(DecisionsUnreadable):  # what happened before, if this user may read it
            for record in read_decisions(settings.state_dir):
                state.add_decision(record, 0.0)
        screen = Console()
        if once or not (screen.is_terminal and sys.stdin.isatty()):
            anyio.run(partial(_collect, settings, state, wait_s))
            screen.print(frame(state, time.time(), unicode=_unicode(screen)))
            if state.status != "online":
                raise typer.Exit(1)
            return
        with suppress(KeyboardInterrupt), interruptible():
            anyio.run(partial(_watch, settings, state, wait_s, screen))


async def _collect(settings: Settings, state: TopState, wait_s: float) -> None:
    """Receives the retained messages."""
    async with client.listening(settings, _topics(state.topics), wait_s=wait_s) as connection:
        with anyio.move_on_after(wait_s):
            async for message in connection.messages():
                message.ack()
                state.add(message, time.time())
                if state.complete:
                    return


async def _watch(settings: Settings, state: TopState, wait_s: float, screen: Console) -> None:
    async with client.listening(settings, _topics(state.topics), wait_s=wait_s) as connection:
        with single_keys(), Live(console=screen, screen=True, auto_refresh=False) as live:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_receive, connection, state)
                tasks.start_soon(_draw, connection, state, live)
                await wait_for_key("qQ")
                tasks.cancel_scope.cancel()


async def _receive(connection: MqttConnection, state: TopState) -> None:
    async for message in connection.messages():
        message.ack()
        state.add(message, time.time())


async def _draw(connection: MqttConnection, state: TopState, live: Live) -> None:
    while True:
        unicode = _unicode(live.console)
        live.update(frame(state, time.time(), unicode=unicode, connection=connection.problem), refresh=True)
        await anyio.sleep(REFRESH_S)


def _topics(topics: Topics) -> tuple[str, ...]:
    return (topics.status, topics.mode_state, topics.telemetry, topics.decision, topics.event)


def _unicode(screen: Console) -> bool:
    return screen.encoding.lower().replace("-", "").startswith("utf")
