"""The message at which the broker closes the connection is found, and no other one is blamed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from agent.messages.turns import WINDOW, Turns

pytestmark = pytest.mark.anyio


async def disconnect(turns: Turns, *messages: str) -> None:
    """The broker closes the connection while the messages are unacknowledged."""
    async with AsyncExitStack() as stack:
        for message in messages:
            await stack.enter_async_context(turns.turn(message))
        turns.closed_by_broker()


async def test_a_window_of_messages_may_be_unacknowledged() -> None:
    turns = Turns()
    async with AsyncExitStack() as stack:
        for number in range(WINDOW):
            await stack.enter_async_context(turns.turn(f"{number}"))
        task = asyncio.ensure_future(turns.turn("next").__aenter__())
        await asyncio.sleep(0)
        assert not task.done()
    await task


async def test_suspects_go_one_at_a_time_and_before_all_others() -> None:
    turns = Turns()
    await disconnect(turns, "a", "b")
    async with turns.turn("a"):
        others = [asyncio.ensure_future(turns.turn(name).__aenter__()) for name in ("b", "c")]
        await asyncio.sleep(0)
        assert not any(task.done() for task in others)
    turns.ended("a")
    await others[0]
    assert not others[1].done()
    turns.ended("b")
    others[1].cancel()


async def test_a_message_that_is_alone_at_the_second_disconnect_is_convicted() -> None:
    turns = Turns()
    await disconnect(turns, "a", "b")
    await disconnect(turns, "b")
    assert (turns.is_convicted("a"), turns.is_convicted("b")) == (False, True)


async def test_a_first_disconnect_convicts_nobody() -> None:
    turns = Turns()
    await disconnect(turns, "a")
    assert not turns.is_convicted("a")


async def test_a_broker_that_was_down_closed_the_connection_for_another_reason() -> None:
    turns = Turns()
    await disconnect(turns, "a")
    turns.broker_down()
    await disconnect(turns, "a")
    assert not turns.is_convicted("a")
