"""Servers that list many models or resolutions get no more arms than others, and each arm is listed once."""

from __future__ import annotations

from agent.answering.arm_limits import MAX_ARMS, MAX_RESOLUTIONS, within_limits
from controller import Arm


def arms(server: str, models: int, resolutions: int, first: int = 100) -> list[Arm]:
    return [Arm("cloud", f"m{m}", first + r, server) for m in range(models) for r in range(resolutions)]


def test_a_few_arms_are_all_used_in_their_order() -> None:
    servers = [arms("a", 2, 3), arms("b", 4, 4)]
    assert within_limits(servers) == (*servers[0], *servers[1])


def test_a_model_or_a_resolution_that_is_listed_twice_is_one_arm() -> None:
    assert within_limits([[*arms("a", 1, 2), *arms("a", 1, 2)], []]) == tuple(arms("a", 1, 2))


def test_the_number_of_arms_is_limited_and_shared() -> None:
    greedy, modest = arms("greedy", 400, 16), arms("modest", 2, 3)
    kept = within_limits([greedy, modest])
    assert len(kept) == MAX_ARMS
    assert set(modest) <= set(kept)


def test_the_number_of_resolutions_is_limited_and_shared() -> None:
    greedy, modest = arms("greedy", 1, 100), arms("modest", 2, 3, first=10_000)
    kept = within_limits([greedy, modest])
    assert len({arm.resolution for arm in kept}) == MAX_RESOLUTIONS
    assert set(modest) <= set(kept)
