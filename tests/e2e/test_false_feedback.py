"""Nobody can move the decisions by false feedback: 100 lies move the board's share by at most five points.

Broker and agent are real, the two models are scripted. The broker is open, so a liar may use any topic and
any name, and reads every decision record. Before feedback was tested, 100 lies on the operator's topic moved
the share from 5% to 99% at the first of the two sites, and from 93% to 25% at the second.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from feedback_site import FeedbackSite, Told, feedback_site, share

pytestmark = pytest.mark.anyio
LEARNING, ASKED, LIES, HONEST = 300, 300, 100, 200
WAIT_S = 60
POINTS = 0.05


@dataclass(frozen=True)
class Attack:
    """A site, and what a liar says of its answers.

    Attributes:
        board_right, cloud_s: of the site.
        says: whether the liar calls an answer correct.
        wants: 1 for more answers of the board, -1 for fewer.
    """

    board_right: float
    cloud_s: float
    says: Callable[[Told], bool]
    wants: int


ATTACKS = {
    # The board is usually wrong and so answers little: the liar wants its wrong answers to be sent.
    "for the board": Attack(0.3, 0.2, lambda told: told.local, 1),
    # The board is always right and answers nearly all: the liar wants the costs of the cloud to be paid.
    "for the cloud": Attack(1.0, 0.2, lambda told: not told.local, -1),
}
Sender = Callable[[FeedbackSite, Attack], Callable[[Told], Awaitable[None]]]


def operator(site: FeedbackSite, attack: Attack) -> Callable[[Told], Awaitable[None]]:
    return lambda told: site.feedback(attack.says(told), decision_id=told.answer.decision_id)


def asker(site: FeedbackSite, attack: Attack) -> Callable[[Told], Awaitable[None]]:
    return lambda told: site.feedback(
        attack.says(told), client=told.client, decision_id=told.answer.decision_id
    )


def honest_where_tested(site: FeedbackSite, attack: Attack) -> Callable[[Told], Awaitable[None]]:
    def says(told: Told) -> bool:
        tested = len(site.records[told.answer.id]["runs"]) > 1
        return told.correct if tested else attack.says(told)

    return lambda told: site.feedback(says(told), decision_id=told.answer.decision_id)


async def moved(
    folder: Path,
    attack: Attack,
    sender: Sender,
    *,
    clients: Sequence[str] = ("camera",),
    honest_before: int = 0,
    recorded: bool = False,
) -> float:
    """How far the board's share has moved after the attack to where the liar wants it."""
    async with feedback_site(folder, attack.board_right, attack.cloud_s) as site:
        await site.ask(LEARNING)
        await site.ask(
            honest_before,
            clients=clients,
            then=lambda told: site.feedback(told.correct, decision_id=told.answer.decision_id),
        )
        before = await site.ask(ASKED)
        await site.ask(LIES, clients=clients, then=sender(site, attack), recorded=recorded)
        after = await site.ask(ASKED)
    return attack.wants * (share(after) - share(before))


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("sender", [operator, asker])
async def test_a_hundred_lies_hardly_move_the_share(tmp_path: Path, name: str, sender: Sender) -> None:
    assert await moved(tmp_path, ATTACKS[name], sender) <= POINTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
async def test_many_names_move_it_no_more(tmp_path: Path, name: str) -> None:
    clients = [f"camera-{number}" for number in range(LIES)]
    assert await moved(tmp_path, ATTACKS[name], asker, clients=clients) <= POINTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
async def test_lies_about_answers_that_were_not_compared_move_it_no_more(tmp_path: Path, name: str) -> None:
    assert await moved(tmp_path, ATTACKS[name], honest_where_tested, recorded=True) <= POINTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("sender", [operator, honest_where_tested])
async def test_a_liar_that_was_honest_at_first_moves_it_no_more(
    tmp_path: Path, name: str, sender: Sender
) -> None:
    assert await moved(tmp_path, ATTACKS[name], sender, honest_before=HONEST, recorded=True) <= POINTS


async def _received(site: FeedbackSite) -> int:
    """How many feedback messages the agent accepted, by its next telemetry message."""
    site.next_telemetry = anyio.Event()
    with anyio.fail_after(WAIT_S):
        await site.next_telemetry.wait()
    return int(site.telemetry["controller"]["feedback"])


async def test_feedback_is_accepted_once_and_from_the_asker_or_the_operator(tmp_path: Path) -> None:
    async with feedback_site(tmp_path, 0.3, 0.05) as site:
        first, second, third = await site.ask(3, clients=("camera",), recorded=True)
        secret = {"decision_id": first.answer.decision_id}
        await site.feedback(True, client="robot", **secret)  # not its question
        await site.feedback(True, client="robot", id=first.answer.id)
        await site.feedback(True, decision_id="00" * 16)  # no such decision
        await site.feedback(True, client="camera", id="never-asked")
        await site.feedback(True, client="camera", **secret)
        for _ in range(3):  # again, and with the opposite
            await site.feedback(True, client="camera", **secret)
            await site.feedback(False, **secret)
            await site.feedback(False, client="camera", id=first.answer.id)
        await site.feedback(True, client="camera", id=second.answer.id)
        await site.feedback(True, id=third.answer.id)
        await site.ask(1)
        with anyio.fail_after(WAIT_S):  # messages may be under way
            while await _received(site) < 3 or site.telemetry["inputs"]["feedback"]["dropped"] < 4 + 9:
                pass
        assert await _received(site) == 3
        assert site.telemetry["inputs"]["feedback"] == {"dropped": 4 + 9, "faults": 0}


async def test_only_the_asker_receives_the_decision_id(tmp_path: Path) -> None:
    async with feedback_site(tmp_path, 0.3, 0.05) as site:
        answered = await site.ask(20, recorded=True)
        await _received(site)
        public = json.dumps([site.records, site.events, site.telemetry])
        logged = (tmp_path / "agent.log").read_text()
    secrets = {told.answer.decision_id for told in answered}
    assert len(secrets) == len(answered)
    assert all(len(secret) == 32 and int(secret, 16) >= 0 for secret in secrets)
    assert not [secret for secret in secrets if secret in public or secret in logged]
    assert all("decision_id" not in record for record in site.records.values())


async def test_a_client_that_contradicts_the_models_is_ignored_with_an_event_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with feedback_site(tmp_path, 1.0, 0.2) as site:
        ignored: list[str] = []
        with anyio.fail_after(WAIT_S):
            while not ignored:
                await site.ask(20, then=lambda told: site.feedback(False, client="camera", id=told.answer.id))
                ignored = [
                    event["message"] for event in site.events if event.get("code") == "feedback_ignored"
                ]
        (message,) = ignored
        assert "'camera'" in message
        assert "feedback.trusted" in message
        await site.restart_agent()
        (told,) = await site.ask(1, recorded=True)
        await _received(site)
        earlier = site.telemetry["inputs"]["feedback"]["dropped"]
        await site.feedback(True, client="camera", id=told.answer.id)
        before = await _received(site)
        await site.feedback(True, id=told.answer.id)
        while await _received(site) == before:
            pass
        assert site.telemetry["inputs"]["feedback"]["dropped"] == earlier + 1
